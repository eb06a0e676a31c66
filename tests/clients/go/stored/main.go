// The scenarios for Google's storage client; see storage_scenarios.py.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"path/filepath"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

const chunkBytes = 256 * 1024

type program struct {
	ctx    context.Context
	shelf  *storage.BucketHandle
	other  *storage.BucketHandle
	inputs string
}

func (p *program) input(name string) []byte {
	content, err := os.ReadFile(filepath.Join(p.inputs, name))
	if err != nil {
		log.Fatal(err)
	}
	return content
}

func (p *program) write(object *storage.ObjectHandle, content []byte, set func(*storage.Writer)) (*storage.ObjectAttrs, error) {
	writer := object.NewWriter(p.ctx)
	writer.ChunkSize = 0
	if set != nil {
		set(writer)
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return writer.Attrs(), nil
}

func (p *program) read(object *storage.ObjectHandle) ([]byte, error) {
	return p.readRange(object, 0, -1)
}

func (p *program) readRange(object *storage.ObjectHandle, from, count int64) ([]byte, error) {
	reader, err := object.NewRangeReader(p.ctx, from, count)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

func (p *program) names(query *storage.Query, page int) (names, prefixes []string, err error) {
	names, prefixes = []string{}, []string{}
	found := p.shelf.Objects(p.ctx, query)
	found.PageInfo().MaxSize = page
	for {
		attributes, err := found.Next()
		if errors.Is(err, iterator.Done) {
			return names, prefixes, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if attributes.Prefix != "" {
			prefixes = append(prefixes, attributes.Prefix)
		} else {
			names = append(names, attributes.Name)
		}
	}
}

func crc(value uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, value))
}

func code(err error) int {
	var failure *googleapi.Error
	switch {
	case err == nil:
		return 200
	case errors.Is(err, storage.ErrObjectNotExist):
		return 404
	case errors.As(err, &failure):
		return failure.Code
	}
	return -1
}

func (p *program) run(scenario string) (any, error) {
	small, large := p.shelf.Object("small.txt"), p.shelf.Object("large.bin")
	switch scenario {
	case "interrupted":
		made, err := p.write(p.shelf.Object("interrupted.bin"), p.input("large.bin"), func(writer *storage.Writer) { writer.ChunkSize = chunkBytes })
		if err != nil {
			return nil, err
		}
		return map[string]any{"size": made.Size, "crc32c": crc(made.CRC32C)}, nil
	case "corrupted":
		if _, err := p.read(p.shelf.Object("interrupted.bin")); err != nil {
			return "refused", nil
		}
		return "taken", nil
	case "upload":
		_, err := p.write(small, p.input("small.txt"), func(writer *storage.Writer) {
			writer.ContentType, writer.Metadata = "text/plain", map[string]string{"colour": "blue"}
		})
		if err != nil {
			return nil, err
		}
		held, err := small.Attrs(p.ctx)
		if err != nil {
			return nil, err
		}
		md5 := base64.StdEncoding.EncodeToString(held.MD5)
		return map[string]any{
			"size": held.Size, "contentType": held.ContentType, "metadata": held.Metadata, "crc32c": crc(held.CRC32C), "md5": md5,
		}, nil
	case "chunks":
		if _, err := p.write(large, p.input("large.bin"), func(writer *storage.Writer) { writer.ChunkSize = chunkBytes }); err != nil {
			return nil, err
		}
		content, err := p.read(large)
		sum := sha256.Sum256(content)
		return hex.EncodeToString(sum[:]), err
	case "wrong-hash":
		_, err := p.write(p.shelf.Object("wrong.txt"), p.input("small.txt"), func(writer *storage.Writer) {
			writer.CRC32C, writer.SendCRC32C = crc32.Checksum([]byte("other"), crc32.MakeTable(crc32.Castagnoli)), true
		})
		return code(err), nil
	case "ranges":
		var found []string
		for _, span := range [][2]int64{{10, 10}, {-7, -1}, {1 << 20, -1}} {
			content, err := p.readRange(large, span[0], span[1])
			if err != nil {
				return nil, err
			}
			found = append(found, hex.EncodeToString(content))
		}
		return found, nil
	case "pages":
		for number := range 7 {
			if _, err := p.write(p.shelf.Object(fmt.Sprintf("list/%d", number)), []byte{'x'}, nil); err != nil {
				return nil, err
			}
		}
		names, _, err := p.names(&storage.Query{Prefix: "list/"}, 3)
		return names, err
	case "delimiter":
		for _, name := range []string{"tree/a.txt", "tree/b.jpg", "tree/deep/c.txt", "tree/deep/er/d.txt"} {
			if _, err := p.write(p.shelf.Object(name), []byte{'x'}, nil); err != nil {
				return nil, err
			}
		}
		names, prefixes, err := p.names(&storage.Query{Prefix: "tree/", Delimiter: "/"}, 0)
		return map[string]any{"names": names, "prefixes": prefixes}, err
	case "glob":
		names, _, err := p.names(&storage.Query{MatchGlob: "tree/**.txt"}, 0)
		return names, err
	case "preconditions":
		once := p.shelf.Object("once.txt")
		first, err := p.write(once.If(storage.Conditions{DoesNotExist: true}), []byte("1"), nil)
		if err != nil {
			return nil, err
		}
		_, refused := p.write(once.If(storage.Conditions{DoesNotExist: true}), []byte("2"), nil)
		second, err := p.write(once.If(storage.Conditions{GenerationMatch: first.Generation}), []byte("3"), nil)
		if err != nil {
			return nil, err
		}
		_, old := p.read(once.Generation(first.Generation))
		return map[string]any{"refused": code(refused), "grew": second.Generation > first.Generation, "old": code(old)}, nil
	case "copy":
		made, err := p.shelf.Object("copy.txt").CopierFrom(small).Run(p.ctx)
		if err != nil {
			return nil, err
		}
		content, err := p.read(p.shelf.Object("copy.txt"))
		return map[string]any{"content": string(content), "contentType": made.ContentType}, err
	case "rewrite":
		made, err := p.other.Object("large.bin").CopierFrom(large).Run(p.ctx)
		if err != nil {
			return nil, err
		}
		return map[string]any{"bucket": made.Bucket, "size": made.Size, "crc32c": crc(made.CRC32C)}, nil
	case "compose":
		made, err := p.shelf.Object("twice.txt").ComposerFrom(small, small).Run(p.ctx)
		if err != nil {
			return nil, err
		}
		content, err := p.read(p.shelf.Object("twice.txt"))
		same := bytes.Equal(content, bytes.Repeat(p.input("small.txt"), 2))
		return map[string]any{"same": same, "components": made.ComponentCount}, err
	case "patch":
		made, err := p.shelf.Object("copy.txt").Update(p.ctx, storage.ObjectAttrsToUpdate{
			ContentType: "text/x-note", Metadata: map[string]string{"shape": "round"},
		})
		if err != nil {
			return nil, err
		}
		return map[string]any{"contentType": made.ContentType, "metadata": made.Metadata, "metageneration": made.Metageneration}, nil
	case "delete":
		if err := p.shelf.Object("copy.txt").Delete(p.ctx); err != nil {
			return nil, err
		}
		_, looked := p.shelf.Object("copy.txt").Attrs(p.ctx)
		return []int{code(looked), code(p.shelf.Object("copy.txt").Delete(p.ctx))}, nil
	}
	return nil, fmt.Errorf("no such scenario: %s", scenario)
}

func main() {
	inputs, scenarios := os.Args[2], os.Args[3:]
	ctx := context.Background()
	client, err := storage.NewClient(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	p := &program{ctx, client.Bucket("shelf"), client.Bucket("other"), inputs}
	for _, scenario := range scenarios {
		result, err := p.run(scenario)
		if err != nil {
			result = map[string]any{"code": code(err), "message": err.Error()}
		}
		line, err := json.Marshal(map[string]any{"scenario": scenario, "result": result})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(line))
	}
}
