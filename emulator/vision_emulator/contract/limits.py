"""Every number of the API, with its unit and source. A limit is a constant here or it does not exist.

Sources: *doc* is Google's documentation (quotas page, discovery document, proto comments), *recorded* a captured answer of the real
service, *ours* a bound this program sets for its own sake.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

# ---- annotation requests ----
IMAGES_PER_CALL_MAX: Final = 16  # images:annotate; recorded: 17 images are refused
IMAGES_PER_BATCH_MAX: Final = 2000  # images:asyncBatchAnnotate; doc
FILES_PER_CALL_MAX: Final = 1  # files:annotate; doc
PAGES_PER_CALL_MAX: Final = 5  # files:annotate; doc
PAGES_PER_FILE_MAX: Final = 2000  # files:asyncBatchAnnotate; doc
BATCH_SIZE_MAX: Final = 100  # responses per output file; doc
BATCH_SIZE_DEFAULT: Final = 20  # doc
RESULTS_DEFAULT: Final = 10  # Feature.max_results when unset; doc
ASPECT_RATIOS_MAX: Final = 16  # crop hint ratios beyond it are ignored; doc

# ---- pictures ----
IMAGE_BYTES_MAX: Final = 20_000_000  # doc: 20 MB
IMAGE_PIXELS_MAX: Final = 75_000_000  # recorded: larger ones are refused with a per-image error

# ---- files of pages ----
FILE_BYTES_MAX: Final = 1_000_000_000  # doc: 1 GB
RENDERED_PIXELS_MAX: Final = 20_000_000  # ours: a page of a PDF is rendered no larger, whatever size it claims
FRAMES_PIXELS_MAX: Final = 4_000_000_000  # ours: all frames of an animated GIF together, since each is drawn over the ones before it
PDF_SECONDS_MAX: Final = 30  # ours, a whole number: what one page of a PDF, or opening one, may take
PDF_MEMORY_BYTES_MAX: Final = 4096 * MIB  # ours: what the process may have that looks into PDFs
PAGE_CHARS_MAX: Final = 100_000  # ours: a page with more embedded characters counts as having none

# ---- images from the web; ours ----
URL_CHARS_MAX: Final = 8192
URL_REDIRECTS_MAX: Final = 5
URL_SECONDS_MAX: Final = 30.0  # one image with all its redirects
URL_CONNECT_SECONDS_MAX: Final = 5.0  # one address of a host; then the next is tried

# ---- request bodies ----
REQUEST_BYTES_MAX: Final = 41_943_040  # recorded: the front end names this number in its refusal (documented: 10 MB)
TRANSPORT_BYTES_MAX: Final = 256 * MIB  # ours: above the API's own limit, so that the API's error is what a client sees

# ---- the front end ----
FIELD_MASK_DEPTH_MAX: Final = 32  # ours: names in one path of a fields selector
FIELD_MASK_PATHS_MAX: Final = 1000  # ours
CALLS_PER_HTTP_BATCH_MAX: Final = 100  # doc: the batching guides of Google's JSON APIs
CALLBACK_CHARS_MAX: Final = 256  # ours: the name of a JSONP function
GZIP_BYTES_MIN: Final = 1024  # ours: a smaller answer gains nothing
CALLS_PER_MINUTE: Final = 1800  # what a project may make unless Google grants it more; doc. Enforced when --quota says so
QUOTA_PROJECTS_MAX: Final = 10_000  # ours: projects counted apart in one minute; the rest share one count

# ---- labels of a request ----
REQUEST_LABEL_CHARS_MAX: Final = 63  # keys and values; doc

# ---- long-running operations; ours ----
OPERATIONS_KEPT_MAX: Final = 10_000  # finished ones beyond it are forgotten, oldest first
OPERATIONS_PAGE_MAX: Final = 1000  # ListOperations.page_size
POLL_HELD_SECONDS_MAX: Final = 5.0  # pace auto: how long a poll is held for the work to finish
DEADLINE_SLACK_SECONDS: Final = 0.5  # a held poll answers this long before its caller's own deadline
WAIT_SECONDS_MAX: Final = 3600.0  # WaitOperation without a timeout

# ---- what is kept of calls; ours ----
JOURNAL_ENTRIES_MAX: Final = 10_000
JOURNAL_BYTES_MAX: Final = 64 * MIB  # requests, headers and answers of all entries; the oldest are forgotten
JOURNAL_ANSWER_BYTES_MAX: Final = 4 * MIB  # a larger answer is not kept: sixteen pages of dense text fit
JOURNAL_CONTENT_BYTES_MAX: Final = 16 * 1024  # a request with larger pictures loses their bytes when its call is over
JOURNAL_LISTED_MAX: Final = 1000  # entries of one listing
JOURNAL_LISTED_BYTES_MAX: Final = 8 * MIB  # what they take in the journal; as JSON they are ten times as much while they are written
NEAR_MISSES_MAX: Final = 5  # entries that were almost what somebody looked for
EVENTS_QUEUED_MAX: Final = 1000  # a slower reader misses the oldest
EVENTS_READERS_MAX: Final = 100
EVENTS_INLINE_BYTES_MAX: Final = 32 * 1024  # larger calls are written in a thread, which takes longer than a small one's writing
EVENTS_GATHERED_SECONDS: Final = 0.05  # events that follow another so closely are told together
EVENTS_HEARTBEAT_SECONDS: Final = 15.0  # of silence; proxies close connections after 30 to 60
EVENTS_LOOK_SECONDS: Final = 0.5  # how often operations are compared with what their readers were told
USAGE_ROWS_MAX: Final = 100_000  # counts by month, project and feature; further projects share one

# ---- fault rules; ours ----
FAULT_RULES_MAX: Final = 1000  # those that can strike no more are forgotten first
FAULT_STEPS_MAX: Final = 1000  # of one rule's script
FAULT_STRIKES_MAX: Final = 1000  # kept for one rule's report, the newest
FAULT_CALLS_MAX: Final = 1_000_000_000  # that a rule may skip or strike
FAULT_SECONDS_MAX: Final = 3600.0  # of one delay, and of Retry-After
RETRY_TESTS_MAX: Final = 1000  # the oldest is forgotten
POLLS_KEPT_MAX: Final = 1000  # of one operation, the newest

# ---- Cloud Storage ----
OBJECT_NAME_BYTES_MAX: Final = 1024  # UTF-8; doc
LIST_PAGE_MAX: Final = 1000  # entries of one page, and what a page holds when nothing is said; doc
COMPOSE_SOURCES_MAX: Final = 32  # doc
STORAGE_BATCH_CALLS_MAX: Final = 100  # calls inside one batch request; doc
OBJECT_BYTES_MAX: Final = 1024 * MIB  # ours: one object, however it was uploaded or decompressed
PART_NUMBER_MAX: Final = 10_000  # of an XML multipart upload; doc
PART_BYTES_MIN: Final = 5 * MIB  # of its parts but the last; doc
UPLOADS_OPEN_MAX: Final = 1000  # ours: resumable sessions kept; the oldest is dropped
UPLOADS_BYTES_MAX: Final = 2048 * MIB  # ours: what all resumable sessions hold together; the oldest is dropped
