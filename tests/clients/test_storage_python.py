"""google-cloud-storage for Python, unmodified, against the embedded buckets in memory and in a directory."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage.retry import DEFAULT_RETRY
from served_buckets import serve

from vision_emulator.control.clock import SystemClock
from vision_emulator.storage.directory import DirectoryStorage
from vision_emulator.storage.embedded import MemoryStorage

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "directory"], scope="module")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    made = MemoryStorage(SystemClock()) if request.param == "memory" else DirectoryStorage(tmp_path_factory.mktemp("root"), SystemClock())
    with serve(made) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[storage.Client]:
    made = storage.Client(project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})
    yield made
    made.close()


@pytest.fixture
def bucket(client: storage.Client) -> Iterator[storage.Bucket]:
    made = client.create_bucket("own-bucket")
    yield made
    for blob in made.list_blobs():
        blob.delete()
    made.delete()


def test_the_environment_variable_is_enough(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORAGE_EMULATOR_HOST alone leads a program here, with or without a slash at its end."""
    for host in (url, url + "/"):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
        with storage.Client() as client:
            bucket = client.bucket("by-environment")
            if not bucket.exists():
                bucket.create()
            bucket.blob("x").upload_from_string(b"data")
            assert bucket.blob("x").download_as_bytes() == b"data"


def test_buckets_are_made_listed_changed_and_removed(client: storage.Client) -> None:
    """The life of a bucket, with the conflicts of a second creation and of a deletion that comes too early."""
    bucket = client.create_bucket("life-of-a-bucket", location="EU")
    assert bucket.location == "EU"
    with pytest.raises(exceptions.Conflict):
        client.create_bucket("life-of-a-bucket")
    bucket.labels = {"a": "1", "b": "2"}
    bucket.patch()
    again = client.get_bucket("life-of-a-bucket")
    assert again.labels == {"a": "1", "b": "2"}
    assert again.metageneration == 2
    del (labels := again.labels)["a"]
    again.labels = labels
    again.patch()
    assert client.get_bucket("life-of-a-bucket").labels == {"b": "2"}
    assert "life-of-a-bucket" in [found.name for found in client.list_buckets()]
    assert [found.name for found in client.list_buckets(prefix="life-of", page_size=1)] == ["life-of-a-bucket"]
    bucket.blob("x").upload_from_string("x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()
    bucket.blob("x").delete()
    bucket.delete()
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.get_bucket("life-of-a-bucket")
    with pytest.raises(exceptions.BadRequest, match="Invalid bucket name"):
        client.create_bucket("upper-CASE-is-not-allowed0")


def test_an_upload_comes_back_with_all_that_was_said_of_it(bucket: storage.Bucket) -> None:
    """Content, type, headers and metadata of a multipart upload are there after a reload and after a download."""
    blob = bucket.blob("folder/photo ä#1.jpg")
    blob.metadata = {"Colour": "blue", "größe": "ü"}
    blob.cache_control = "no-store"
    blob.content_disposition = "attachment"
    blob.content_language = "de"
    blob.upload_from_string(b"\xff\xd8jpeg", content_type="image/jpeg", checksum="md5")
    read = bucket.get_blob("folder/photo ä#1.jpg")
    assert read is not None
    assert (read.size, read.content_type, read.metadata) == (6, "image/jpeg", {"Colour": "blue", "größe": "ü"})
    assert (read.cache_control, read.content_disposition, read.content_language) == ("no-store", "attachment", "de")
    generation = read.generation
    assert read.download_as_bytes() == b"\xff\xd8jpeg"
    assert (read.generation, read.content_type, read.storage_class) == (generation, "image/jpeg", "STANDARD")
    assert (read.etag, read.md5_hash, read.crc32c) == (blob.etag, blob.md5_hash, blob.crc32c)
    assert read.time_created is not None


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 3 * MIB + 17, 9 * MIB])
def test_uploads_of_every_kind_and_size(bucket: storage.Bucket, size: int) -> None:
    """Multipart, resumable in one piece and resumable in chunks store the same bytes, verified by the client on the way back."""
    data = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    bucket.blob("string").upload_from_string(data)
    chunked = bucket.blob("chunked", chunk_size=MIB)
    chunked.upload_from_file(io.BytesIO(data), checksum="crc32c")
    unknown = bucket.blob("unknown-size", chunk_size=MIB)
    with unknown.open("wb") as writer:
        writer.write(data)
    for name in ("string", "chunked", "unknown-size"):
        assert bucket.blob(name).download_as_bytes() == data
        assert bucket.blob(name).download_as_bytes(raw_download=True, checksum="crc32c") == data


def test_downloads_by_range_and_in_chunks(bucket: storage.Bucket) -> None:
    """Ranges are inclusive; a range behind the end is refused; chunks add up."""
    data = bytes(range(256)) * 3000
    bucket.blob("data").upload_from_string(data)
    assert bucket.blob("data").download_as_bytes(start=5, end=9) == data[5:10]
    assert bucket.blob("data").download_as_bytes(start=len(data) - 3) == data[-3:]
    assert bucket.blob("data").download_as_bytes(start=-3) == data[-3:]
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        bucket.blob("data").download_as_bytes(start=len(data))
    into = io.BytesIO()
    bucket.blob("data", chunk_size=256 * 1024).download_to_file(into)
    assert into.getvalue() == data
    with bucket.blob("data").open("rb", chunk_size=256 * 1024) as reader:
        assert reader.read(1000) + reader.read() == data


def test_gzip_objects_are_decoded_by_whom_it_suits(bucket: storage.Bucket) -> None:
    """Stored gzip comes as it is to those who take it, decompressed to those who do not; hashes are of what is stored."""
    text = b"many words " * 1000
    blob = bucket.blob("words.txt")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(text), content_type="text/plain")
    assert blob.download_as_bytes() == text
    assert gzip.decompress(blob.download_as_bytes(raw_download=True)) == text
    plain = requests.get(blob.media_link, headers={"Accept-Encoding": "identity"}, timeout=5)
    assert plain.content == text
    assert "Content-Encoding" not in plain.headers


def test_listing_by_prefix_delimiter_and_page(bucket: storage.Bucket) -> None:
    """Pages, groups and bounds, as the client pages through them."""
    written = ["a", "dir/a", "dir/b", "dir/sub/c", "dir/sub/d", "z", "ä", "😀"]
    for name in written:
        bucket.blob(name).upload_from_string(b"")
    assert [blob.name for blob in bucket.list_blobs()] == sorted(written)
    assert [blob.name for blob in bucket.list_blobs(page_size=3)] == sorted(written)
    assert [blob.name for blob in bucket.list_blobs(prefix="dir/", delimiter="/")] == ["dir/a", "dir/b"]
    for size in (1, 2, 100):
        listed = bucket.list_blobs(delimiter="/", page_size=size)
        assert [blob.name for blob in listed] == ["a", "z", "ä", "😀"]
        assert listed.prefixes == {"dir/"}
    assert [blob.name for blob in bucket.list_blobs(start_offset="dir/b", end_offset="z")] == ["dir/b", "dir/sub/c", "dir/sub/d"]
    assert [blob.name for blob in bucket.list_blobs(max_results=2)] == ["a", "dir/a"]


def test_preconditions(bucket: storage.Bucket) -> None:
    """A generation that is not the one given stops writing, reading, changing and deleting; 0 means "must not exist"."""
    blob = bucket.blob("once")
    blob.upload_from_string(b"1", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions"):
        blob.upload_from_string(b"2", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_file(io.BytesIO(b"3" * 9 * MIB), if_generation_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.patch(if_metageneration_match=7)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.download_as_bytes(if_generation_match=1)
    generation = blob.generation
    blob.upload_from_string(b"4", if_generation_match=generation)
    assert blob.generation > generation
    with pytest.raises(exceptions.NotFound):
        bucket.blob("once", generation=generation).download_as_bytes()
    assert bucket.blob("once", generation=blob.generation).download_as_bytes() == b"4"
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_generation_not_match=blob.generation)


def test_metadata_is_patched_and_replaced(bucket: storage.Bucket) -> None:
    """A patch adds and removes single keys and counts the metageneration on; content and generation stay."""
    blob = bucket.blob("described")
    blob.metadata = {"keep": "1", "drop": "2"}
    blob.upload_from_string(b"x", content_type="text/plain")
    generation = blob.generation
    blob.metadata = {"keep": "1", "drop": None, "new": "3"}
    blob.content_type = "text/html"
    blob.patch()
    read = bucket.get_blob("described")
    assert read is not None
    assert (read.metadata, read.content_type) == ({"keep": "1", "new": "3"}, "text/html")
    assert (read.generation, read.metageneration) == (generation, 2)
    read.metadata = {"only": "4"}
    read.update()
    assert bucket.get_blob("described").metadata == {"only": "4"}  # type: ignore[union-attr]


def test_copies_moves_and_compositions(bucket: storage.Bucket) -> None:
    """Server-side copies keep what was said of the source; a composition has parts and no md5."""
    one = bucket.blob("one")
    one.metadata = {"a": "b"}
    one.upload_from_string(b"one-", content_type="text/plain")
    two = bucket.blob("two")
    two.upload_from_string(b"two", content_type="text/plain")
    copied = bucket.copy_blob(one, bucket, "copy of/one")
    copied.reload()
    assert (copied.metadata, copied.content_type, copied.download_as_bytes()) == ({"a": "b"}, "text/plain", b"one-")
    renamed = bucket.rename_blob(copied, "renamed")
    assert renamed.download_as_bytes() == b"one-"
    assert not bucket.blob("copy of/one").exists()
    moved = bucket.move_blob(renamed, "moved")
    assert moved.download_as_bytes() == b"one-"
    assert not renamed.exists()
    rewritten = bucket.blob("rewritten")
    assert rewritten.rewrite(moved) == (None, 4, 4)
    both = bucket.blob("both")
    both.compose([one, two])
    assert both.download_as_bytes() == b"one-two"
    assert (both.component_count, both.md5_hash) == (2, None)


def test_batches(client: storage.Client, bucket: storage.Bucket) -> None:
    """Deletions and patches in one request, each with its own outcome."""
    for number in range(5):
        bucket.blob(f"b/{number}").upload_from_string(b"x")
    with client.batch():
        patched = bucket.blob("b/4")
        patched.metadata = {"x": "y"}
        patched.patch()
        for number in range(4):
            bucket.delete_blob(f"b/{number}")
    assert [blob.name for blob in bucket.list_blobs()] == ["b/4"]
    assert bucket.get_blob("b/4").metadata == {"x": "y"}  # type: ignore[union-attr]
    missing: list[object] = []
    bucket.delete_blobs([bucket.blob("b/4"), bucket.blob("none")], on_error=missing.append)
    assert len(missing) == 1
    with pytest.raises(exceptions.NotFound), client.batch():
        bucket.delete_blob("none")


def test_what_is_wrong_is_said(bucket: storage.Bucket, client: storage.Client) -> None:
    """Missing objects and buckets, and content that is not what its hash says, are the client's own exceptions."""
    with pytest.raises(exceptions.NotFound, match="No such object: own-bucket"):
        bucket.blob("none").download_as_bytes()
    assert bucket.get_blob("none") is None
    with pytest.raises(exceptions.NotFound):
        client.bucket("no-such-bucket").blob("x").upload_from_string(b"x", retry=DEFAULT_RETRY.with_timeout(1))
    wrong = bucket.blob("wrong")
    wrong.md5_hash = "1B2M2Y8AsgTpgAmY7PhCfg=="
    with pytest.raises(exceptions.BadRequest, match="MD5"):
        wrong.upload_from_string(b"not empty", checksum=None)
    assert not wrong.exists()


def test_policies_are_taken_and_not_enforced(bucket: storage.Bucket) -> None:
    """Programs that look at or set access policies go on."""
    policy = bucket.get_iam_policy()
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"allUsers"}})
    assert bucket.set_iam_policy(policy).bindings
    assert bucket.test_iam_permissions(["storage.objects.get", "storage.objects.list"]) == ["storage.objects.get", "storage.objects.list"]
    blob = bucket.blob("public")
    blob.upload_from_string(b"x")
    blob.make_public()


def test_public_urls(bucket: storage.Bucket, url: str) -> None:
    """``/bucket/object`` reads, writes, asks and deletes, as signed and public URLs do."""
    address = f"{url}/{bucket.name}/dir/a%20b"
    put = requests.put(address, data=b"signed", headers={"Content-Type": "text/x", "x-goog-meta-k": "v"}, timeout=5)
    assert put.status_code == 200
    head = requests.head(address, timeout=5)
    assert (head.headers["Content-Length"], head.headers["x-goog-meta-k"], head.content) == ("6", "v", b"")
    assert requests.get(address, timeout=5).content == b"signed"
    assert bucket.blob("dir/a b").download_as_bytes() == b"signed"
    assert requests.delete(address, timeout=5).status_code == 204
    assert "<Code>NoSuchKey</Code>" in requests.get(address, timeout=5).text


def test_parts_in_parallel(bucket: storage.Bucket, tmp_path: Path) -> None:
    """The transfer manager's uploads in parts, by the XML API, and its downloads in ranges, both checked by their hashes."""
    data = bytes(range(256)) * (11 * 4096)
    file = tmp_path / "large.bin"
    file.write_bytes(data)
    blob = bucket.blob("in-parts.bin")
    transfer_manager.upload_chunks_concurrently(str(file), blob, chunk_size=5 * MIB, worker_type=transfer_manager.THREAD)
    blob.reload()
    assert (blob.size, blob.md5_hash) == (len(data), None)
    back = tmp_path / "back.bin"
    transfer_manager.download_chunks_concurrently(blob, str(back), chunk_size=4 * MIB, worker_type=transfer_manager.THREAD)
    assert back.read_bytes() == data
