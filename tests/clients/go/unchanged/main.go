// A program that was written for the real service: no option names an endpoint, a proxy or a credential.
package main

import (
	"context"
	"fmt"
	"log"

	vision "cloud.google.com/go/vision/v2/apiv1"
	"cloud.google.com/go/vision/v2/apiv1/visionpb"
)

func main() {
	ctx := context.Background()
	client, err := vision.NewImageAnnotatorClient(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	source := &visionpb.ImageSource{ImageUri: "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}
	answer, err := client.BatchAnnotateImages(ctx, &visionpb.BatchAnnotateImagesRequest{
		Requests: []*visionpb.AnnotateImageRequest{{
			Image:    &visionpb.Image{Source: source},
			Features: []*visionpb.Feature{{Type: visionpb.Feature_LABEL_DETECTION}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Responses[0].LabelAnnotations[0].Description)
}
