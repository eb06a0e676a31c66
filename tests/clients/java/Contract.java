import com.google.api.gax.core.NoCredentialsProvider;
import com.google.api.gax.grpc.GrpcCallContext;
import com.google.api.gax.httpjson.HttpJsonCallContext;
import com.google.api.gax.rpc.ApiCallContext;
import com.google.api.gax.rpc.ApiException;
import com.google.api.gax.rpc.DeadlineExceededException;
import com.google.cloud.NoCredentials;
import com.google.cloud.storage.Blob;
import com.google.cloud.storage.BlobInfo;
import com.google.cloud.storage.Storage;
import com.google.cloud.storage.StorageOptions;
import com.google.cloud.vision.v1.AnnotateImageRequest;
import com.google.cloud.vision.v1.AnnotateImageResponse;
import com.google.cloud.vision.v1.AsyncAnnotateFileRequest;
import com.google.cloud.vision.v1.AsyncBatchAnnotateImagesRequest;
import com.google.cloud.vision.v1.BatchAnnotateImagesRequest;
import com.google.cloud.vision.v1.EntityAnnotation;
import com.google.cloud.vision.v1.Feature;
import com.google.cloud.vision.v1.GcsDestination;
import com.google.cloud.vision.v1.GcsSource;
import com.google.cloud.vision.v1.Image;
import com.google.cloud.vision.v1.ImageAnnotatorClient;
import com.google.cloud.vision.v1.ImageAnnotatorSettings;
import com.google.cloud.vision.v1.ImageSource;
import com.google.cloud.vision.v1.InputConfig;
import com.google.cloud.vision.v1.OutputConfig;
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The scenarios for Google's Java client; see scenarios.py. */
public final class Contract {
  private static final String ADDRESS = System.getenv("VISION_EMULATOR_HOST");
  private static final String MISSING_OPERATION = "projects/p/operations/0123456789abcdef";

  private final ImageAnnotatorClient client;
  private final Storage storage;
  private final Path inputs;

  private Contract(ImageAnnotatorClient client, Storage storage, Path inputs) {
    this.client = client;
    this.storage = storage;
    this.inputs = inputs;
  }

  private static ImageAnnotatorClient made(String way) throws IOException {
    switch (way) {
      case "plain-grpc":
        return EmulatedGrpc.client();
      case "plain-rest":
        return EmulatedRest.client();
      case "exec-grpc":
        return ImageAnnotatorClient.create();
      case "exec-rest":
        return ImageAnnotatorClient.create(ImageAnnotatorSettings.newHttpJsonBuilder().build());
      default:
        boolean rest = way.endsWith("rest");
        ImageAnnotatorSettings.Builder settings =
            rest ? ImageAnnotatorSettings.newHttpJsonBuilder() : ImageAnnotatorSettings.newBuilder();
        settings.setEndpoint(rest ? "https://" + ADDRESS : ADDRESS);
        settings.setCredentialsProvider(NoCredentialsProvider.create());
        return ImageAnnotatorClient.create(settings.build());
    }
  }

  /** The storage client reads no variable: it is told the address, except under exec, where it finds the way itself. */
  private static Storage storage(String way) {
    if (way.startsWith("exec")) {
      return StorageOptions.getDefaultInstance().getService();
    }
    return StorageOptions.newBuilder()
        .setHost(System.getenv("STORAGE_EMULATOR_HOST"))
        .setCredentials(NoCredentials.getInstance())
        .setProjectId(System.getenv("GOOGLE_CLOUD_PROJECT"))
        .build()
        .getService();
  }

  private boolean isGrpc() {
    return client.getSettings().getStubSettings().getTransportChannelProvider().getTransportName().equals("grpc");
  }

  private static AnnotateImageRequest asked(String uri, Feature.Type feature) {
    ImageSource source = ImageSource.newBuilder().setImageUri(uri).build();
    return AnnotateImageRequest.newBuilder()
        .setImage(Image.newBuilder().setSource(source))
        .addFeatures(Feature.newBuilder().setType(feature))
        .build();
  }

  private static List<AnnotateImageRequest> times(int count, String uri) {
    return Collections.nCopies(count, asked(uri, Feature.Type.LABEL_DETECTION));
  }

  private static List<String> labels(AnnotateImageResponse answer) {
    return answer.getLabelAnnotationsList().stream().map(EntityAnnotation::getDescription).toList();
  }

  private List<String> labelsOf(String uri, int count) {
    return labels(client.batchAnnotateImages(times(count, uri)).getResponses(0));
  }

  private static OutputConfig output(String prefix) {
    GcsDestination destination = GcsDestination.newBuilder().setUri("gs://results/" + prefix).build();
    return OutputConfig.newBuilder().setGcsDestination(destination).setBatchSize(2).build();
  }

  private void upload(String file, String name) throws IOException {
    storage.create(BlobInfo.newBuilder("inputs", name).build(), Files.readAllBytes(inputs.resolve(file)));
  }

  private interface Reader {
    void read(JsonObject response);
  }

  /** The names of the files below a prefix, in listing order; each of their responses is read. */
  private List<String> results(String prefix, Reader reader) {
    List<String> names = new ArrayList<>();
    for (Blob blob : storage.list("results", Storage.BlobListOption.prefix(prefix)).iterateAll()) {
      names.add(blob.getName());
      JsonObject file = JsonParser.parseString(new String(blob.getContent())).getAsJsonObject();
      for (JsonElement response : file.getAsJsonArray("responses")) {
        reader.read(response.getAsJsonObject());
      }
    }
    return names;
  }

  private Object batchOffline() throws Exception {
    List<AnnotateImageRequest> requests = new ArrayList<>();
    for (int number = 1; number <= 5; number++) {
      upload("picture.jpg", number + ".jpg");
      requests.add(asked("gs://inputs/" + number + ".jpg", Feature.Type.LABEL_DETECTION));
    }
    client.asyncBatchAnnotateImagesAsync(requests, output("batch/")).get();
    List<String> uris = new ArrayList<>();
    List<String> first = new ArrayList<>();
    List<String> files =
        results(
            "batch/",
            response -> {
              uris.add(response.getAsJsonObject("context").get("uri").getAsString());
              first.add(response.getAsJsonArray("labelAnnotations").get(0).getAsJsonObject().get("description").getAsString());
            });
    return Map.of("files", files, "uris", uris, "labels", first);
  }

  private Object pdfOffline() throws Exception {
    upload("pages.pdf", "pages.pdf");
    GcsSource source = GcsSource.newBuilder().setUri("gs://inputs/pages.pdf").build();
    AsyncAnnotateFileRequest request =
        AsyncAnnotateFileRequest.newBuilder()
            .setInputConfig(InputConfig.newBuilder().setGcsSource(source).setMimeType("application/pdf"))
            .addFeatures(Feature.newBuilder().setType(Feature.Type.DOCUMENT_TEXT_DETECTION))
            .setOutputConfig(output("pdf/"))
            .build();
    client.asyncBatchAnnotateFilesAsync(List.of(request)).get();
    List<Integer> pages = new ArrayList<>();
    List<String> lines = new ArrayList<>();
    List<String> files =
        results(
            "pdf/",
            response -> {
              pages.add(response.getAsJsonObject("context").get("pageNumber").getAsInt());
              lines.add(response.getAsJsonObject("fullTextAnnotation").get("text").getAsString().split("\n")[0]);
            });
    return Map.of("files", files, "pages", pages, "lines", lines);
  }

  private Object run(String scenario) throws Exception {
    switch (scenario) {
      case "label-online":
        ByteString content = ByteString.copyFrom(Files.readAllBytes(inputs.resolve("picture.jpg")));
        AnnotateImageRequest inline =
            AnnotateImageRequest.newBuilder()
                .setImage(Image.newBuilder().setContent(content))
                .addFeatures(Feature.newBuilder().setType(Feature.Type.LABEL_DETECTION))
                .build();
        return labels(client.batchAnnotateImages(List.of(inline)).getResponses(0));
      case "text-online":
        AnnotateImageRequest sign = asked("gs://inputs/sign.jpg", Feature.Type.TEXT_DETECTION);
        return client.batchAnnotateImages(List.of(sign)).getResponses(0).getFullTextAnnotation().getText();
      case "batch-offline":
        return batchOffline();
      case "pdf-offline":
        return pdfOffline();
      case "image-error":
        List<AnnotateImageResponse> answers =
            client
                .batchAnnotateImages(
                    List.of(
                        asked("gs://inputs/cat.jpg", Feature.Type.LABEL_DETECTION),
                        asked("gs://inputs/missing.jpg", Feature.Type.LABEL_DETECTION)))
                .getResponsesList();
        com.google.rpc.Status error = answers.get(1).getError();
        return Map.of("labels", labels(answers.get(0)), "code", error.getCode(), "message", error.getMessage());
      case "17-images":
        return labelsOf("gs://inputs/cat.jpg", 17);
      case "2001-images":
        AsyncBatchAnnotateImagesRequest many =
            AsyncBatchAnnotateImagesRequest.newBuilder()
                .addAllRequests(times(2001, "gs://inputs/cat.jpg"))
                .setOutputConfig(output("many/"))
                .build();
        return client.asyncBatchAnnotateImagesCallable().call(many).getName();
      case "not-found-operation":
        if (isGrpc()) {
          return client.getOperationsClient().getOperation(MISSING_OPERATION).getName();
        }
        return client.getHttpJsonOperationsClient().getOperation(MISSING_OPERATION).getName();
      case "unavailable-twice":
        return labelsOf("gs://inputs/flaky.jpg", 1);
      case "deadline":
        BatchAnnotateImagesRequest slow =
            BatchAnnotateImagesRequest.newBuilder().addAllRequests(times(1, "gs://inputs/slow.jpg")).build();
        ApiCallContext context = isGrpc() ? GrpcCallContext.createDefault() : HttpJsonCallContext.createDefault();
        context = context.withTimeoutDuration(Duration.ofSeconds(1)).withRetryableCodes(Set.of());
        client.batchAnnotateImagesCallable().call(slow, context);
        return null;
      default:
        throw new IllegalArgumentException("no such scenario: " + scenario);
    }
  }

  private static Object told(Throwable failure) {
    Throwable said = failure;
    while (!(said instanceof ApiException) && said.getCause() != null) {
      said = said.getCause();
    }
    Map<String, Object> error = new LinkedHashMap<>();
    if (said instanceof DeadlineExceededException) {
      error.put("code", "DEADLINE_EXCEEDED");
    } else if (said instanceof ApiException) {
      error.put("code", ((ApiException) said).getStatusCode().getCode().name());
    }
    error.put("message", String.valueOf(said.getMessage()));
    return error;
  }

  public static void main(String[] arguments) throws Exception {
    String way = arguments[0];
    try (ImageAnnotatorClient client = made(way)) {
      Contract contract = new Contract(client, storage(way), Path.of(arguments[1]));
      for (String scenario : Arrays.asList(arguments).subList(2, arguments.length)) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("scenario", scenario);
        try {
          line.put("result", contract.run(scenario));
        } catch (Exception failure) {
          line.put("result", told(failure));
        }
        System.out.println(new Gson().newBuilder().disableHtmlEscaping().create().toJson(line));
      }
    }
  }
}
