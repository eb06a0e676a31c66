// The emulator in a container, from Java: org.testcontainers:testcontainers and com.google.cloud:google-cloud-vision.
import com.google.api.gax.core.NoCredentialsProvider;
import com.google.cloud.vision.v1.AnnotateImageRequest;
import com.google.cloud.vision.v1.Feature;
import com.google.cloud.vision.v1.Image;
import com.google.cloud.vision.v1.ImageAnnotatorClient;
import com.google.cloud.vision.v1.ImageAnnotatorSettings;
import com.google.cloud.vision.v1.ImageSource;
import io.grpc.ManagedChannelBuilder;
import java.util.List;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;

public class Example {
  public static void main(String[] arguments) throws Exception {
    try (GenericContainer<?> container = new GenericContainer<>("vision-emulator")) {
      container.withExposedPorts(8970).waitingFor(Wait.forHttp("/_emulator/health")).start();
      ImageAnnotatorSettings settings =
          ImageAnnotatorSettings.newBuilder()
              .setEndpoint(container.getHost() + ":" + container.getMappedPort(8970))
              .setCredentialsProvider(NoCredentialsProvider.create())
              .setTransportChannelProvider(
                  ImageAnnotatorSettings.defaultGrpcTransportProviderBuilder()
                      .setChannelConfigurator(ManagedChannelBuilder::usePlaintext)
                      .build())
              .build();
      ImageSource source =
          ImageSource.newBuilder().setImageUri("gs://cloud-samples-data/vision/label/wakeupcat.jpg").build();
      AnnotateImageRequest request =
          AnnotateImageRequest.newBuilder()
              .setImage(Image.newBuilder().setSource(source))
              .addFeatures(Feature.newBuilder().setType(Feature.Type.LABEL_DETECTION))
              .build();
      try (ImageAnnotatorClient client = ImageAnnotatorClient.create(settings)) {
        System.out.println(
            client.batchAnnotateImages(List.of(request)).getResponses(0).getLabelAnnotations(0).getDescription());
      }
    }
  }
}
