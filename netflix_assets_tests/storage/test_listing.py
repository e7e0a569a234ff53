"""Parsing S3's listings, as different servers write them."""

import pytest

from netflix_assets.storage.listing import ListedObject, parse_page
from netflix_assets.storage.retries import S3ResponseError

OBJECT = (
    "<Contents><Key>{key}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>{etag}</ETag>"
    "<Size>3</Size><Owner><ID>x</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"
)


def listing(*contents: str, head: str = "") -> bytes:
    body = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{head}{"".join(contents)}'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}</ListBucketResult>\n'.encode()


@pytest.mark.parametrize(
    ("head", "written", "key"),
    [
        ("", "a&amp;b &lt;1&gt; +%20.csv", "a&b <1> +%20.csv"),
        ("<EncodingType>url</EncodingType>", "a%26b+%3C1%3E+%2B%2520.csv", "a&b <1> +%20.csv"),
        ("<EncodingType>url</EncodingType>", "tab%09%F0%9F%98%80.csv", "tab\t😀.csv"),
        ("", "é😀.csv", "é😀.csv"),
    ],
)
def test_keys_are_decoded_as_the_server_encoded_them(head: str, written: str, key: str) -> None:
    [found] = parse_page(listing(OBJECT.format(key=written, etag="&quot;abc-2&quot;"), head=head)).objects
    assert found == ListedObject(key, "abc-2", 3, "2024-05-06T07:08:09.000Z")
    assert found.modified_at.isoformat() == "2024-05-06T07:08:09+00:00"


@pytest.mark.parametrize("etag", ['"abc"', "&quot;abc&quot;", "&#34;abc&#34;", "abc"])
def test_etags_lose_their_quotes(etag: str) -> None:
    assert [each.etag for each in parse_page(listing(OBJECT.format(key="a", etag=etag))).objects] == ["abc"]


def test_an_object_without_an_etag_is_listed() -> None:
    assert parse_page(listing(OBJECT.format(key="a", etag=""))).objects[0].etag == ""
    assert parse_page(listing(OBJECT.format(key="a", etag="").replace("<ETag></ETag>", ""))).objects[0].etag == ""


def test_folders_and_the_next_page() -> None:
    head = "<IsTruncated>true</IsTruncated><NextContinuationToken>x&amp;y=</NextContinuationToken>"
    page = parse_page(listing("<CommonPrefixes>\n<Prefix>a/</Prefix></CommonPrefixes>", head=head))
    assert (page.objects, page.folders, page.next_token) == ([], ["a/"], "x&y=")
    assert parse_page(listing(head="<IsTruncated>false</IsTruncated>")).next_token is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        listing(OBJECT.format(key="a", etag="x"))[:-40],
        listing(head="<IsTruncated>true</IsTruncated>"),
        listing("<Contents><Key>a</Key></Contents>"),
        listing("<Contents a='b'><Key>a</Key></Contents>"),
        b"<x:ListBucketResult xmlns:x='y'><x:Contents/></x:ListBucketResult>",
    ],
)
def test_a_listing_is_whole_or_an_error(body: bytes) -> None:
    with pytest.raises(S3ResponseError):
        parse_page(body)
