"""The scenarios for Google's storage client; see storage_scenarios.py."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from google.api_core.exceptions import ClientError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

CHUNK_BYTES = 256 * 1024


class Program:
    """One method for each scenario."""

    def __init__(self, inputs: Path) -> None:
        self.client = storage.Client()
        self.shelf, self.other = self.client.bucket("shelf"), self.client.bucket("other")
        self.small, self.large = ((inputs / name).read_bytes() for name in ("small.txt", "large.bin"))

    def code(self, call: Any, *args: Any, **options: Any) -> int:
        try:
            call(*args, **options)
        except ClientError as error:
            return int(error.code)
        return 200

    def names(self, **options: Any) -> list[str]:
        return [blob.name for blob in self.client.list_blobs(self.shelf, **options)]

    def in_chunks(self, name: str) -> storage.Blob:
        blob = self.shelf.blob(name, chunk_size=CHUNK_BYTES)
        blob.upload_from_file(io.BytesIO(self.large), checksum="crc32c", retry=DEFAULT_RETRY)
        return blob

    def interrupted(self) -> Any:
        made = self.in_chunks("interrupted.bin")
        return {"size": made.size, "crc32c": made.crc32c}

    def corrupted(self) -> Any:
        try:
            self.shelf.blob("interrupted.bin").download_as_bytes(checksum="crc32c")
        except DataCorruption:
            return "refused"
        return "taken"

    def upload(self) -> Any:
        blob = self.shelf.blob("small.txt")
        blob.metadata = {"colour": "blue"}
        blob.upload_from_string(self.small, content_type="text/plain")
        held = self.shelf.get_blob("small.txt")
        named = {"contentType": held.content_type, "crc32c": held.crc32c, "md5": held.md5_hash}
        return {"size": held.size, "metadata": held.metadata, **named}

    def chunks(self) -> Any:
        self.in_chunks("large.bin")
        return hashlib.sha256(self.shelf.blob("large.bin").download_as_bytes()).hexdigest()

    def wrong_hash(self) -> Any:
        blob = self.shelf.blob("wrong.txt")
        blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
        return self.code(blob.upload_from_string, self.small, checksum=None)

    def ranges(self) -> Any:
        blob = self.shelf.get_blob("large.bin")
        spans = ({"start": 10, "end": 19}, {"start": blob.size - 7}, {"start": 2**20})
        return [blob.download_as_bytes(**span).hex() for span in spans]

    def pages(self) -> Any:
        for number in range(7):
            self.shelf.blob(f"list/{number}").upload_from_string(b"x")
        return self.names(prefix="list/", page_size=3)

    def delimiter(self) -> Any:
        for name in ("tree/a.txt", "tree/b.jpg", "tree/deep/c.txt", "tree/deep/er/d.txt"):
            self.shelf.blob(name).upload_from_string(b"x")
        listed = self.client.list_blobs(self.shelf, prefix="tree/", delimiter="/")
        return {"names": [blob.name for blob in listed], "prefixes": sorted(listed.prefixes)}

    def glob(self) -> Any:
        return self.names(match_glob="tree/**.txt")

    def preconditions(self) -> Any:
        first, second = self.shelf.blob("once.txt"), self.shelf.blob("once.txt")
        first.upload_from_string(b"1", if_generation_match=0)
        refused = self.code(second.upload_from_string, b"2", if_generation_match=0)
        second.upload_from_string(b"3", if_generation_match=first.generation)
        old = self.code(self.shelf.blob("once.txt", generation=first.generation).download_as_bytes)
        return {"refused": refused, "grew": second.generation > first.generation, "old": old}

    def copy(self) -> Any:
        made = self.shelf.copy_blob(self.shelf.blob("small.txt"), self.shelf, "copy.txt")
        return {"content": made.download_as_text(), "contentType": made.content_type}

    def rewrite(self) -> Any:
        made = self.other.blob("large.bin")
        made.rewrite(self.shelf.blob("large.bin"))
        return {"bucket": made.bucket.name, "size": made.size, "crc32c": made.crc32c}

    def compose(self) -> Any:
        made = self.shelf.blob("twice.txt")
        made.compose([self.shelf.blob("small.txt")] * 2)
        made.reload()
        return {"same": made.download_as_bytes() == self.small * 2, "components": made.component_count}

    def patch(self) -> Any:
        blob = self.shelf.blob("copy.txt")
        blob.content_type, blob.metadata = "text/x-note", {"shape": "round"}
        blob.patch()
        return {"contentType": blob.content_type, "metadata": blob.metadata, "metageneration": blob.metageneration}

    def delete(self) -> Any:
        blob = self.shelf.blob("copy.txt")
        blob.delete()
        return [self.code(blob.reload), self.code(blob.delete)]

    def batch(self) -> Any:
        with self.client.batch():
            for number in range(7):
                self.shelf.blob(f"list/{number}").delete()
        return self.names(prefix="list/")


def main(inputs: str, scenarios: list[str]) -> None:
    program = Program(Path(inputs))
    for scenario in scenarios:
        result = getattr(program, scenario.replace("-", "_"))()
        print(json.dumps({"scenario": scenario, "result": result}), flush=True)


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3:])
