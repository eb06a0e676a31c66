// The scenarios for Google's Go client; see scenarios.py.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/storage"
	vision "cloud.google.com/go/vision/v2/apiv1"
	"cloud.google.com/go/vision/v2/apiv1/visionpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const missingOperation = "projects/p/operations/0123456789abcdef"

var address = os.Getenv("VISION_EMULATOR_HOST")

type program struct {
	ctx    context.Context
	client *vision.ImageAnnotatorClient
	store  *storage.Client
	inputs string
}

func made(ctx context.Context, way string) (*vision.ImageAnnotatorClient, error) {
	switch way {
	case "plain-grpc":
		return snippetClient(ctx)
	case "plain-rest":
		return snippetRESTClient(ctx)
	case "tls-grpc":
		return vision.NewImageAnnotatorClient(ctx, option.WithEndpoint(address), option.WithoutAuthentication())
	case "tls-rest":
		return vision.NewImageAnnotatorRESTClient(ctx, option.WithEndpoint("https://"+address), option.WithoutAuthentication())
	case "exec-grpc":
		return vision.NewImageAnnotatorClient(ctx)
	case "exec-rest":
		return vision.NewImageAnnotatorRESTClient(ctx)
	}
	return nil, fmt.Errorf("no such way: %s", way)
}

func asked(uri string, feature visionpb.Feature_Type) *visionpb.AnnotateImageRequest {
	return &visionpb.AnnotateImageRequest{
		Image:    &visionpb.Image{Source: &visionpb.ImageSource{ImageUri: uri}},
		Features: []*visionpb.Feature{{Type: feature}},
	}
}

func times(count int, uri string) []*visionpb.AnnotateImageRequest {
	requests := make([]*visionpb.AnnotateImageRequest, count)
	for at := range requests {
		requests[at] = asked(uri, visionpb.Feature_LABEL_DETECTION)
	}
	return requests
}

func labels(answer *visionpb.AnnotateImageResponse) []string {
	var found []string
	for _, label := range answer.LabelAnnotations {
		found = append(found, label.Description)
	}
	return found
}

func (p *program) annotate(requests ...*visionpb.AnnotateImageRequest) ([]*visionpb.AnnotateImageResponse, error) {
	answer, err := p.client.BatchAnnotateImages(p.ctx, &visionpb.BatchAnnotateImagesRequest{Requests: requests})
	return answer.GetResponses(), err
}

func (p *program) labelsOf(uri string, count int) (any, error) {
	answers, err := p.annotate(times(count, uri)...)
	if err != nil {
		return nil, err
	}
	return labels(answers[0]), nil
}

func (p *program) upload(name, object string) error {
	content, err := os.ReadFile(filepath.Join(p.inputs, name))
	if err != nil {
		return err
	}
	writer := p.store.Bucket("inputs").Object(object).NewWriter(p.ctx)
	if _, err := writer.Write(content); err != nil {
		return err
	}
	return writer.Close()
}

type written struct {
	Responses []struct {
		Context struct {
			URI        string `json:"uri"`
			PageNumber int    `json:"pageNumber"`
		} `json:"context"`
		LabelAnnotations []struct {
			Description string `json:"description"`
		} `json:"labelAnnotations"`
		FullTextAnnotation struct {
			Text string `json:"text"`
		} `json:"fullTextAnnotation"`
	} `json:"responses"`
}

func (p *program) results(prefix string) ([]string, []written, error) {
	var names []string
	var files []written
	found := p.store.Bucket("results").Objects(p.ctx, &storage.Query{Prefix: prefix})
	for {
		attributes, err := found.Next()
		if errors.Is(err, iterator.Done) {
			return names, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		reader, err := p.store.Bucket("results").Object(attributes.Name).NewReader(p.ctx)
		if err != nil {
			return nil, nil, err
		}
		var file written
		if err := json.NewDecoder(reader).Decode(&file); err != nil {
			return nil, nil, err
		}
		reader.Close()
		names, files = append(names, attributes.Name), append(files, file)
	}
}

func output(prefix string) *visionpb.OutputConfig {
	return &visionpb.OutputConfig{GcsDestination: &visionpb.GcsDestination{Uri: "gs://results/" + prefix}, BatchSize: 2}
}

func (p *program) batchOffline() (any, error) {
	var requests []*visionpb.AnnotateImageRequest
	for number := 1; number <= 5; number++ {
		name := fmt.Sprintf("%d.jpg", number)
		if err := p.upload("picture.jpg", name); err != nil {
			return nil, err
		}
		requests = append(requests, asked("gs://inputs/"+name, visionpb.Feature_LABEL_DETECTION))
	}
	operation, err := p.client.AsyncBatchAnnotateImages(p.ctx, &visionpb.AsyncBatchAnnotateImagesRequest{
		Requests: requests, OutputConfig: output("batch/"),
	})
	if err != nil {
		return nil, err
	}
	if _, err := operation.Wait(p.ctx); err != nil {
		return nil, err
	}
	names, files, err := p.results("batch/")
	var uris, first []string
	for _, file := range files {
		for _, answer := range file.Responses {
			uris, first = append(uris, answer.Context.URI), append(first, answer.LabelAnnotations[0].Description)
		}
	}
	return map[string]any{"files": names, "uris": uris, "labels": first}, err
}

func (p *program) pdfOffline() (any, error) {
	if err := p.upload("pages.pdf", "pages.pdf"); err != nil {
		return nil, err
	}
	source := &visionpb.InputConfig{GcsSource: &visionpb.GcsSource{Uri: "gs://inputs/pages.pdf"}, MimeType: "application/pdf"}
	operation, err := p.client.AsyncBatchAnnotateFiles(p.ctx, &visionpb.AsyncBatchAnnotateFilesRequest{
		Requests: []*visionpb.AsyncAnnotateFileRequest{{
			InputConfig:  source,
			Features:     []*visionpb.Feature{{Type: visionpb.Feature_DOCUMENT_TEXT_DETECTION}},
			OutputConfig: output("pdf/"),
		}},
	})
	if err != nil {
		return nil, err
	}
	if _, err := operation.Wait(p.ctx); err != nil {
		return nil, err
	}
	names, files, err := p.results("pdf/")
	var pages []int
	var lines []string
	for _, file := range files {
		for _, answer := range file.Responses {
			line, _, _ := strings.Cut(answer.FullTextAnnotation.Text, "\n")
			pages, lines = append(pages, answer.Context.PageNumber), append(lines, line)
		}
	}
	return map[string]any{"files": names, "pages": pages, "lines": lines}, err
}

func (p *program) run(scenario string) (any, error) {
	switch scenario {
	case "label-online":
		content, err := os.ReadFile(filepath.Join(p.inputs, "picture.jpg"))
		if err != nil {
			return nil, err
		}
		answers, err := p.annotate(&visionpb.AnnotateImageRequest{
			Image:    &visionpb.Image{Content: content},
			Features: []*visionpb.Feature{{Type: visionpb.Feature_LABEL_DETECTION}},
		})
		if err != nil {
			return nil, err
		}
		return labels(answers[0]), nil
	case "text-online":
		answers, err := p.annotate(asked("gs://inputs/sign.jpg", visionpb.Feature_TEXT_DETECTION))
		if err != nil {
			return nil, err
		}
		return answers[0].FullTextAnnotation.Text, nil
	case "batch-offline":
		return p.batchOffline()
	case "pdf-offline":
		return p.pdfOffline()
	case "image-error":
		answers, err := p.annotate(
			asked("gs://inputs/cat.jpg", visionpb.Feature_LABEL_DETECTION), asked("gs://inputs/missing.jpg", visionpb.Feature_LABEL_DETECTION),
		)
		if err != nil {
			return nil, err
		}
		failed := answers[1].Error
		return map[string]any{"labels": labels(answers[0]), "code": failed.Code, "message": failed.Message}, nil
	case "17-images":
		return p.labelsOf("gs://inputs/cat.jpg", 17)
	case "2001-images":
		operation, err := p.client.AsyncBatchAnnotateImages(p.ctx, &visionpb.AsyncBatchAnnotateImagesRequest{
			Requests: times(2001, "gs://inputs/cat.jpg"), OutputConfig: output("many/"),
		})
		if err != nil {
			return nil, err
		}
		return operation.Name(), nil
	case "not-found-operation":
		found, err := p.client.GetOperation(p.ctx, &longrunningpb.GetOperationRequest{Name: missingOperation})
		return found.GetName(), err
	case "unavailable-twice":
		return p.labelsOf("gs://inputs/flaky.jpg", 1)
	case "deadline":
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		_, err := p.client.BatchAnnotateImages(ctx, &visionpb.BatchAnnotateImagesRequest{Requests: times(1, "gs://inputs/slow.jpg")})
		return nil, err
	}
	return nil, fmt.Errorf("no such scenario: %s", scenario)
}

func told(err error) map[string]any {
	said := map[string]any{"message": err.Error()}
	failure, known := apierror.FromError(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded:
		said["code"] = "DEADLINE_EXCEEDED"
	case known && failure.GRPCStatus() != nil:
		said["code"] = int(failure.GRPCStatus().Code())
	case known:
		said["code"] = failure.HTTPCode()
	}
	return said
}

func main() {
	way, inputs, scenarios := os.Args[1], os.Args[2], os.Args[3:]
	ctx := context.Background()
	client, err := made(ctx, way)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	store, err := storage.NewClient(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	p := &program{ctx, client, store, inputs}
	for _, scenario := range scenarios {
		result, err := p.run(scenario)
		if err != nil {
			result = told(err)
		}
		line, err := json.Marshal(struct {
			Scenario string `json:"scenario"`
			Result   any    `json:"result"`
		}{scenario, result})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(line))
	}
}
