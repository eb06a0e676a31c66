"""An emulator that runs somewhere, as a test uses it: its levers, and the official clients on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from vision_emulator.client import Control

if TYPE_CHECKING:
    import grpc.aio
    from google.auth.credentials import Credentials
    from google.cloud import vision
    from google.cloud.storage import Client as StorageClient

PROJECT: Final = "x-goog-user-project"
UNLIMITED: Final = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))  # the emulator has limits of its own


class RemoteEmulator(Control):
    """A running emulator: every lever of Control, and ready clients, which are Google's own and must be installed.

    Clients are closed when the emulator is left (``with``), or by ``close``. With a project their calls name it.
    """

    def __init__(self, address: str, token: str | None = None, project: str = "") -> None:
        super().__init__(address, token, project)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every client that was asked for; a second call does nothing."""
        self._opened.pop_all().close()

    def client(self) -> vision.ImageAnnotatorClient:
        """The official client over gRPC."""
        import grpc
        from google.cloud import vision
        from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport as Transport

        channel = grpc.insecure_channel(self.address, options=UNLIMITED)
        self._opened.callback(channel.close)
        if self.project:
            channel = grpc.intercept_channel(channel, _named_project(self.project))
        return vision.ImageAnnotatorClient(transport=Transport(channel=channel))

    def rest_client(self) -> vision.ImageAnnotatorClient:
        """The official client over REST."""
        from google.cloud import vision

        options: Any = {"api_endpoint": self.url}
        client = vision.ImageAnnotatorClient(transport="rest", credentials=_credentials(self.project), client_options=options)
        self._opened.callback(client.transport.close)
        polling: Any = client.transport.operations_client.transport  # has a session of its own, which closing the client leaves open
        self._opened.callback(polling._session.close)  # noqa: SLF001 - and no way to close it
        return client

    def async_client(self) -> vision.ImageAnnotatorAsyncClient:
        """The official client for asyncio, for the loop in which this is called; ``await client.transport.close()`` before that ends."""
        import asyncio

        import grpc.aio
        from google.cloud import vision
        from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport as Transport

        asyncio.get_running_loop()  # a channel belongs to a loop
        interceptors = _named_project_async(self.project) if self.project else ()
        channel = grpc.aio.insecure_channel(self.address, options=UNLIMITED, interceptors=interceptors)
        return vision.ImageAnnotatorAsyncClient(transport=Transport(channel=channel))

    def storage_client(self, project: str = "vision-emulator") -> StorageClient:
        """The official client of Cloud Storage."""
        from google.cloud.storage import Client as StorageClient

        options: Any = {"api_endpoint": self.url}
        client = StorageClient(self.project or project, _credentials(""), client_options=options)
        self._opened.callback(client.close)
        return client


class _CallDetails(NamedTuple):
    """What gRPC wants of an interceptor that changes a call."""

    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any = None


def _naming(project: str, details: Any) -> Any:
    return _CallDetails(
        details.method,
        details.timeout,
        [*(details.metadata or ()), (PROJECT, project)],
        details.credentials,
        details.wait_for_ready,
        getattr(details, "compression", None),
    )


def _named_project(project: str) -> Any:
    """An interceptor that says in each call which project makes it."""
    import grpc

    class NamedProject(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
            return continuation(_naming(project, details), request)

    return NamedProject()


def _named_project_async(project: str) -> Sequence[grpc.aio.ClientInterceptor]:
    import grpc.aio

    class NamedProject(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            if client_call_details.metadata is None:
                client_call_details = client_call_details._replace(metadata=grpc.aio.Metadata())
            client_call_details.metadata.add(PROJECT, project)
            return await continuation(client_call_details, request)

    return (NamedProject(),)


def _credentials(project: str) -> Credentials:
    """Nobody's, which say only the project."""
    from google.auth.credentials import AnonymousCredentials

    class NamedProject(AnonymousCredentials):
        def before_request(self, request: Any, method: str, url: str, headers: dict[str, str]) -> None:
            del request, method, url
            if project:
                headers[PROJECT] = project

    return NamedProject()  # type: ignore[no-untyped-call]
