"""Creates the stacks of deploy/aws in moto.

moto's CloudFormation lacks some types and ignores many properties. ``MISSING`` creates the types, and ``IGNORED`` sets
the properties, with the API call that CloudFormation would make, from what the template says. boto3 and moto validate
these calls, and the tests read everything back through the API.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import requests
import yaml
from moto.cloudformation import parsing
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.utils import yaml_tag_constructor
from moto.core.common_models import CloudFormationModel
from moto.core.utils import pascal_to_camelcase, remap_nested_keys
from moto.server import ThreadedMotoServer

from netflix_assets.settings import REPO
from netflix_assets_tests.deploy.access import policies_evaluated

TEMPLATES = REPO / "deploy" / "aws"
ACCOUNT, REGION, ENV, BUCKET = "123456789012", "eu-central-1", "dev", "my-bucket"
PREFIX = "drops/films/"  # not that of the environment
SNOWFLAKE_USER, EXTERNAL_ID = "arn:aws:iam::210987654321:user/abc1-b-self1234", "MYORG_SFCRole=2_Kp7/x+Q="
PARAMETERS = {
    "account": {"GitHubRepository": "my-org/netflix-assets", "BudgetEmail": "team@example.com"},
    "data": {
        "Environment": ENV,
        "BucketName": BUCKET,
        "Prefix": PREFIX,
        "SnowflakeUserArn": SNOWFLAKE_USER,
        "SnowflakeExternalId": EXTERNAL_ID,
        "AlertsEmail": "team@example.com",
    },
    "compute": {"Environment": ENV, "Deployments": "", "BranchDeployments": "true"},
}

Properties = dict[str, Any]
Client = Callable[[str], Any]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags (!Ref, !Sub …) in their long form."""


_Loader.add_multi_constructor("", yaml_tag_constructor)


def load_template(name: str, folder: Path = TEMPLATES) -> dict[str, Any]:
    """A template with all functions in their long form."""
    return yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader


# ---------------------------------------------------------------- types that moto's CloudFormation lacks


@dataclass
class Created:
    """What a resource's Ref and GetAtt give."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def _bucket_policy(client: Client, given: Properties) -> Created:
    client("s3").put_bucket_policy(Bucket=given["Bucket"], Policy=json.dumps(given["PolicyDocument"]))
    return Created(given["Bucket"])


def _queue_policy(client: Client, given: Properties) -> Created:
    for url in given["Queues"]:
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(given["PolicyDocument"])})
    return Created("queue-policy")


def _topic_policy(client: Client, given: Properties) -> Created:
    for arn in given["Topics"]:
        client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(given["PolicyDocument"])
        )
    return Created("topic-policy")


def _alarm(client: Client, given: Properties) -> Created:
    client("cloudwatch").put_metric_alarm(**given)
    return Created(given["AlarmName"])


def _secret(client: Client, given: Properties) -> Created:
    return Created(client("secretsmanager").create_secret(**given)["ARN"])


def _oidc_provider(client: Client, given: Properties) -> Created:
    made = client("iam").create_open_id_connect_provider(Url=given["Url"], ClientIDList=given["ClientIdList"])
    return Created(made["OpenIDConnectProviderArn"])


def _budget(client: Client, given: Properties) -> Created:
    budget = given["Budget"] | {"BudgetLimit": {k: str(v) for k, v in given["Budget"]["BudgetLimit"].items()}}
    client("budgets").create_budget(AccountId=ACCOUNT, Budget=budget)
    for each in given["NotificationsWithSubscribers"]:
        client("budgets").create_notification(AccountId=ACCOUNT, BudgetName=budget["BudgetName"], **each)
    return Created(budget["BudgetName"])


def _namespace(client: Client, given: Properties) -> Created:
    service = client("servicediscovery")
    operation = service.create_private_dns_namespace(**given)["OperationId"]
    made = service.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    return Created(made, {"Id": made, "Arn": service.get_namespace(Id=made)["Namespace"]["Arn"]})


def _egress(client: Client, given: Properties) -> Created:
    pair = {"GroupId": given["DestinationSecurityGroupId"], "Description": given["Description"]}
    client("ec2").authorize_security_group_egress(
        GroupId=given["GroupId"], IpPermissions=[{**_ports(given), "UserIdGroupPairs": [pair]}]
    )
    return Created("egress")


def _ports(given: Properties) -> Properties:
    return {name: given[name] for name in ("IpProtocol", "FromPort", "ToPort")}


MISSING: Mapping[str, Callable[[Client, Properties], Created]] = {
    "AWS::Budgets::Budget": _budget,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::EC2::SecurityGroupEgress": _egress,
    "AWS::IAM::OIDCProvider": _oidc_provider,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::ServiceDiscovery::PrivateDnsNamespace": _namespace,
}

# ---------------------------------------------------------------- properties that it ignores


def _bucket(client: Client, given: Properties) -> None:
    s3, name = client("s3"), given["BucketName"]
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=given["PublicAccessBlockConfiguration"])
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=given["OwnershipControls"])
    if "VersioningConfiguration" in given:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=given["VersioningConfiguration"])
    rules = [_lifecycle_rule(dict(rule)) for rule in given["LifecycleConfiguration"]["Rules"]]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    for_queues = [
        {"QueueArn": each["Queue"], "Events": [each["Event"]], "Filter": _key_filter(each["Filter"])}
        for each in given.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
    ]
    if for_queues:
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": for_queues}
        )


def _lifecycle_rule(rule: Properties) -> Properties:
    api: Properties = {"ID": rule.pop("Id"), "Filter": {"Prefix": rule.pop("Prefix", "")}}
    if "ExpirationInDays" in rule:
        api["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
    if "ExpiredObjectDeleteMarker" in rule:
        api["Expiration"] = {"ExpiredObjectDeleteMarker": rule.pop("ExpiredObjectDeleteMarker")}
    return api | rule  # the rest has the same names; boto3 refuses others


def _key_filter(given: Properties) -> Properties:
    return {"Key": {"FilterRules": given["S3Key"]["Rules"]}}


def _role(client: Client, given: Properties) -> None:
    for arn in given.get("ManagedPolicyArns", []):
        client("iam").attach_role_policy(RoleName=given["RoleName"], PolicyArn=arn)
    for each in given.get("Policies", []):
        document = json.dumps(each["PolicyDocument"])  # moto puts it as a dict, which no reader understands
        client("iam").put_role_policy(
            RoleName=given["RoleName"], PolicyName=each["PolicyName"], PolicyDocument=document
        )


def _repository(client: Client, given: Properties) -> None:
    ecr, name = client("ecr"), given["RepositoryName"]
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=given["LifecyclePolicy"]["LifecyclePolicyText"])
    ecr.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration=_camel_case(given["ImageScanningConfiguration"])
    )


_camel_case = partial(remap_nested_keys, key_transform=pascal_to_camelcase)


def _cluster(client: Client, given: Properties) -> None:
    client("ecs").put_cluster_capacity_providers(
        cluster=given["ClusterName"], capacityProviders=given["CapacityProviders"], defaultCapacityProviderStrategy=[]
    )


def _task(client: Client, given: Properties) -> None:
    containers = given.pop("ContainerDefinitions")
    for each in containers:  # log options keep their names
        options = each["LogConfiguration"].pop("Options")
        each.update(_camel_case(each))
        each["logConfiguration"]["options"] = options
    made = [{name: value for name, value in each.items() if name[0].islower()} for each in containers]
    client("ecs").register_task_definition(**_camel_case(given), containerDefinitions=made)


def _service(client: Client, given: Properties) -> None:
    client("ecs").delete_service(cluster=given["Cluster"], service=given["ServiceName"], force=True)
    client("ecs").create_service(**_camel_case(given | {"TaskDefinition": f"netflix-{ENV}-agent"}))


def _security_group(client: Client, given: Properties) -> None:
    ec2 = client("ec2")
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [given["GroupName"]]}])[
        "SecurityGroups"
    ]
    everywhere = [each for each in group["IpPermissionsEgress"] if each["IpProtocol"] == "-1"]
    ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=everywhere)
    for each in given["SecurityGroupEgress"]:
        target = {"CidrIp": each["CidrIp"], "Description": each["Description"]}
        ec2.authorize_security_group_egress(
            GroupId=group["GroupId"], IpPermissions=[{**_ports(each), "IpRanges": [target]}]
        )


IGNORED: Mapping[str, Callable[[Client, Properties], None]] = {
    "AWS::EC2::SecurityGroup": _security_group,
    "AWS::ECR::Repository": _repository,
    "AWS::ECS::Cluster": _cluster,
    "AWS::ECS::TaskDefinition": _task,
    "AWS::ECS::Service": _service,
    "AWS::IAM::Role": _role,
    "AWS::S3::Bucket": _bucket,
}

# ---------------------------------------------------------------- stacks


@dataclass
class Cloud:
    """An account in moto with the stacks account, data and compute; ``outputs`` by the stack's name."""

    endpoint: str
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def client(self, service: str, **credentials: str) -> Any:
        """A client of this account, by default of its root."""
        keys = {"aws_access_key_id": "root", "aws_secret_access_key": "root", **credentials}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def create(self, name: str, **parameters: str) -> None:
        """Create a stack."""
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        formation = self.client("cloudformation")
        with _with_missing_types(self.client):
            formation.create_stack(
                StackName=name,
                TemplateBody=(TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8"),
                Parameters=given,
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        self.outputs[name] = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        for logical_id, each in load_template(name)["Resources"].items():
            if each["Type"] in IGNORED:
                IGNORED[each["Type"]](self.client, self.properties(name, logical_id))

    def properties(self, stack: str, logical_id: str) -> Properties:
        """The properties of a resource, with all functions resolved."""
        stacks = cloudformation_backends[ACCOUNT][REGION].stacks.values()
        (resources,) = [each.resource_map for each in stacks if each.name == stack]
        declared = load_template(stack)["Resources"][logical_id]["Properties"]
        return parsing.clean_json(declared, resources)


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """The address of a moto with nothing in it: all servers of a process share their accounts."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=60)
    try:
        with policies_evaluated():  # S3 asks the buckets' policies even without IAM
            yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def deployed() -> Iterator[Cloud]:
    """A moto with all stacks of the environment dev."""
    with moto_server() as endpoint:
        cloud = Cloud(endpoint)
        cloud.create("account", **PARAMETERS["account"])
        cloud.create("data", **PARAMETERS["data"])
        ec2 = cloud.client("ec2")
        network = {
            "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
            "SubnetIds": ",".join(each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]),
        }
        cloud.create("compute", **PARAMETERS["compute"], **network)
        yield cloud


def supported_types() -> set[str]:
    """The resource types that moto's CloudFormation creates."""
    return set(parsing.get_model_map())


@contextlib.contextmanager
def _with_missing_types(client: Client) -> Iterator[None]:
    models = parsing.get_model_map()
    models.update({name: _model(name, create, client) for name, create in MISSING.items()})
    try:
        yield
    finally:
        parsing.get_model_map.cache_clear()


class _Extra:
    """What moto's parser asks of a model."""

    logical_resource_id = cf_resource_type = ""
    update_from_cloudformation_json = CloudFormationModel.update_from_cloudformation_json

    def __init__(self, created: Created) -> None:
        self.physical_resource_id = created.physical_id
        self.attributes = created.attributes

    def is_created(self) -> bool:
        return True

    def get_cfn_attribute(self, name: str) -> str:
        return self.attributes[name]

    @staticmethod
    def has_cfn_attr(_: str) -> bool:
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""


def _model(name: str, create: Callable[[Client, Properties], Created], client: Client) -> type[_Extra]:
    def create_from_cloudformation_json(_: str, resource: Properties, *__: Any, **___: Any) -> _Extra:
        return _Extra(create(client, dict(resource["Properties"])))

    methods = {
        "cloudformation_type": staticmethod(lambda: name),
        "create_from_cloudformation_json": staticmethod(create_from_cloudformation_json),
    }
    return type(name.replace(":", ""), (_Extra,), methods)
