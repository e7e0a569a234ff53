"""COPY, PUT and REMOVE on the emulator."""

import gzip
import hashlib
import time

import pytest

from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.emulator.failure import failure

pytestmark = pytest.mark.emulated

LOADER_FORMAT = """
    type = csv compression = auto field_delimiter = ',' skip_header = 1 field_optionally_enclosed_by = '"' escape = none
    escape_unenclosed_field = none null_if = () empty_field_as_null = false trim_space = false skip_blank_lines = false
    error_on_column_count_mismatch = false encoding = 'UTF8'
"""


def md5(content):
    return hashlib.md5(content, usedforsecurity=False)


@pytest.fixture
def stage(bucket, execute):
    execute(f"create stage landing url = 's3://{bucket.name}/dev' storage_integration = i")
    execute(
        "create temporary table t (c1 varchar, c2 varchar, c3 varchar, name varchar, number integer, key varchar)",
    )


def copy(files, file_format=LOADER_FORMAT, place="@landing", options="on_error = abort_statement force = true"):
    named = f"files = ({', '.join(repr(file) for file in files)})"
    return f"""
        copy into t (c1, c2, c3, name, number, key)
        from (select $1, $2, $3, metadata$filename, metadata$file_row_number, metadata$file_content_key from {place})
        {named} file_format = ({file_format}) {options}
    """


@pytest.mark.usefixtures("stage")
def test_copy_reads_fields_by_number_with_their_metadata(bucket, execute):
    content = b'a,b\r\n1,"x, ""y""\nz"\n2,,3\r\n\nlast'
    bucket.put("dev/m/x.csv", content)
    assert execute(copy(["m/x.csv"]))[0][:4] == (f"s3://{bucket.name}/dev/m/x.csv", "LOADED", 4, 4)
    key = md5(content).hexdigest()
    listed = s3_client(local_s3(bucket.home)).head_object(Bucket=bucket.name, Key="dev/m/x.csv")["ETag"].strip('"')
    assert listed == key
    assert execute("select * from t order by number") == [
        ("1", 'x, "y"\nz', None, "dev/m/x.csv", 1, key),
        ("2", "", "3", "dev/m/x.csv", 2, key),
        ("", None, None, "dev/m/x.csv", 3, key),
        ("last", None, None, "dev/m/x.csv", 4, key),
    ]


@pytest.mark.usefixtures("stage")
def test_copy_detects_gzip_by_content_and_keeps_texts_unchanged(bucket, execute):
    packed = gzip.compress(b"a,b\n\\N,NULL\n") + gzip.compress("\\t, é \n".encode())
    bucket.put("dev/x.csv", packed)
    execute(copy(["x.csv"]))
    assert execute("select c1, c2, key from t order by number") == [
        ("\\N", "NULL", md5(packed).hexdigest()),
        ("\\t", " é ", md5(packed).hexdigest()),
    ]


@pytest.mark.usefixtures("stage")
def test_copy_refuses_the_defaults_of_options(bucket, execute):
    bucket.put("dev/x.csv", "h\n1\n")
    for option in ("null_if = ()", "empty_field_as_null = false", "escape_unenclosed_field = none"):
        message = failure(execute, copy(["x.csv"], LOADER_FORMAT.replace(option, ""))).msg
        assert f"the option {option.split()[0]} = (default) is not emulated" in message


@pytest.mark.usefixtures("stage")
def test_copy_loads_all_files_or_none(bucket, execute):
    bucket.put("dev/good.csv", "h\n1\n")
    bucket.put("dev/bad.csv", 'h\n"1" 2\n')
    bucket.put("dev/latin.csv", b"h\n\xe9\n")
    bucket.put("dev/cut.csv.gz", gzip.compress(b"h\n1\n" * 100)[:-9])
    for bad, errno in (("bad.csv", 100066), ("latin.csv", 100144), ("cut.csv.gz", 100065), ("gone.csv", 91016)):
        assert failure(execute, copy(["good.csv", bad])).errno == errno
    assert execute("select count(*) from t") == [(0,)]


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (copy(["x.csv"] * 1001), "1001 files"),
        (copy(["x.csv"], options="force = true on_error = continue"), "on_error = continue"),
        (copy(["x.csv"], options=""), "on_error = (default)"),
        (copy(["x.csv"], options="force = true purge = true"), "purge = true"),
        (copy(["x.csv"], LOADER_FORMAT + "date_format = auto"), "date_format"),
        (copy(["x.csv"], "format_name = f"), "format_name"),
        (copy(["x.csv"]).replace("$2", "upper($2)"), "upper"),
        (copy(["x.csv"]).replace("$2,", ""), "6 columns, but 5"),
        (copy(["x.csv"], place="@nowhere"), "does not exist"),
    ],
)
def test_copy_refuses_options_that_are_not_emulated(bucket, execute, statement, message):
    bucket.put("dev/x.csv", "h\n1\n")
    assert message in failure(execute, statement).msg


@pytest.mark.usefixtures("stage")
def test_copy_is_fast(bucket, execute):
    rows = "".join(f'{at},"{at % 77}",{at / 2}\n' for at in range(100_000))
    bucket.put("dev/x.csv", f"a,b,c\n{rows}")
    start = time.monotonic()
    execute(copy(["x.csv"]))
    assert time.monotonic() - start < 10  # 1.5 s on an idle machine
    assert execute("select count(*), sum(c2::integer), max(number) from t") == [
        (100_000, sum(at % 77 for at in range(100_000)), 100_000)
    ]


@pytest.mark.usefixtures("stage")
def test_put_copy_and_remove_on_an_internal_stage(tmp_path, execute):
    file = tmp_path / "it's x.csv"
    file.write_text("h\n1,2\n")
    execute("create stage own")
    literal = str(file).replace("'", "\\'")
    for folder in ("one", "two"):
        assert (
            execute(f"put 'file://{literal}' @own/{folder}/ auto_compress = true overwrite = true")[0][6] == "UPLOADED"
        )
    assert [row[0] for row in execute("list @own")] == ["own/one/it's x.csv.gz", "own/two/it's x.csv.gz"]
    execute(copy(["X"], place="@own/one/").replace("'X'", "'it''s x.csv.gz'"))
    (packed,) = execute("list @own/one/")
    assert execute("select c1, c2, name, number, key = ? from t", packed[2]) == [
        ("1", "2", "one/it's x.csv.gz", 1, True)
    ]
    # The client encrypts the file: its key does not depend on the content alone.
    assert execute("select key from t") != [(md5(file.read_bytes()).hexdigest(),)]
    assert execute("remove @own/one/") == [("own/one/it's x.csv.gz", "removed")]
    assert [row[0] for row in execute("list @own")] == ["own/two/it's x.csv.gz"]
    assert "bucket" in failure(execute, "remove @landing/x").msg
