"""Measure an idle tick of the landing sensor, with a queue of events and by listing the bucket.

    python -m bench.ticks [--objects 1000] [--ticks 20]

S3 and SQS are moto's.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

import boto3
import dagster as dg
from moto.server import ThreadedMotoServer

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs import published
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.landing.sensor import landing_sensor
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw import assets as raw
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import Settings, read_settings


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000)
    parser.add_argument("--ticks", type=int, default=20)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3, sqs = (boto3.client(each, endpoint_url=endpoint, region_name="us-east-1") for each in ("s3", "sqs"))
    s3.create_bucket(Bucket="landing")
    for number in range(arguments.objects):
        s3.put_object(Bucket="landing", Key=f"movielens/ratings/{number:08d}.csv", Body=b"x")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(home=Path(folder), s3_endpoint=endpoint, events_queue_url=url)
        with open_instance(settings) as instance:
            _report_in_sync(settings, instance)
            with_events = _seconds(settings, instance, arguments.ticks)
            by_listing = _seconds(settings.model_copy(update={"events_queue_url": None}), instance, arguments.ticks)
    server.stop()
    print(
        f"idle tick, listing {arguments.objects:,} objects: {by_listing * 1000:6.1f} ms (median of {arguments.ticks})"
    )
    print(f"idle tick, with a queue: {with_events * 1000:6.1f} ms")


def _report_in_sync(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Write the events that a run of everything leaves in Dagster's storage when bucket and tables are in sync."""
    with landing_bucket(settings).open() as store:
        states = {name: each for source in settings.sources() for name, each in store.listings(source).items()}
    datasets = all_datasets(settings.sources())
    for each in datasets:
        state = states[each.id].fingerprint
        instance.report_runless_asset_event(dg.AssetMaterialization(landing_key(each)))
        loaded = {raw.FINGERPRINT: state, raw.LOADS: state}
        instance.report_runless_asset_event(dg.AssetMaterialization(raw_key(each), metadata=loaded))
    published_loads = dg.MetadataValue.json({each.id: states[each.id].fingerprint for each in datasets})
    instance.report_runless_asset_event(
        dg.AssetMaterialization(PUBLISHED_KEY, metadata={published.LOADS: published_loads})
    )


def _seconds(settings: Settings, instance: dg.DagsterInstance, ticks: int) -> float:
    """Return the median seconds of a tick, without the first one, which compares everything and creates the clients."""
    sensor, cursor, seconds = landing_sensor(settings, settings.sources()), None, []
    for _ in range(ticks + 1):
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"bucket": landing_bucket(settings)}
        )
        started = time.perf_counter()
        result = sensor.evaluate_tick(context)
        seconds.append(time.perf_counter() - started)
        cursor = result.cursor or cursor
        assert not result.run_requests
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
