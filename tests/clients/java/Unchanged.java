import com.google.cloud.vision.v1.AnnotateImageRequest;
import com.google.cloud.vision.v1.BatchAnnotateImagesResponse;
import com.google.cloud.vision.v1.Feature;
import com.google.cloud.vision.v1.Image;
import com.google.cloud.vision.v1.ImageAnnotatorClient;
import com.google.cloud.vision.v1.ImageSource;
import java.util.List;

/** A program that was written for the real service: no option names an endpoint, a proxy or a credential. */
public final class Unchanged {
  public static void main(String[] args) throws Exception {
    try (ImageAnnotatorClient client = ImageAnnotatorClient.create()) {
      ImageSource source = ImageSource.newBuilder().setImageUri("gs://cloud-samples-data/vision/label/wakeupcat.jpg").build();
      AnnotateImageRequest request =
          AnnotateImageRequest.newBuilder()
              .setImage(Image.newBuilder().setSource(source))
              .addFeatures(Feature.newBuilder().setType(Feature.Type.LABEL_DETECTION))
              .build();
      BatchAnnotateImagesResponse answer = client.batchAnnotateImages(List.of(request));
      System.out.println(answer.getResponses(0).getLabelAnnotations(0).getDescription());
    }
  }
}
