// A second opinion: what the libraries of the kubelet and containerd say about names and platforms.
// Reads JSON, one value a line: text is a reference, an object is a platform. Writes an answer a line.
package main

import (
	"bufio"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"os"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

var version = "unknown"

func main() {
	if len(os.Args) > 1 {
		fmt.Println(version)
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		answer, err := json.Marshal(opinion(in.Bytes()))
		if err != nil {
			panic(err)
		}
		out.Write(append(answer, '\n'))
	}
}

func opinion(line []byte) any {
	var text string
	if json.Unmarshal(line, &text) == nil {
		return parsed(text)
	}
	var platform specs.Platform
	if err := json.Unmarshal(line, &platform); err != nil {
		panic(err)
	}
	normal := platforms.Normalize(platform)
	return []string{normal.OS, normal.Architecture, normal.Variant}
}

// parsed gives the name as containerd pulls it (a digest alone where there are both), domain and path; else nil.
func parsed(text string) any {
	named, err := reference.ParseDockerRef(text)
	if err != nil {
		return nil
	}
	return []string{named.String(), reference.Domain(named), reference.Path(named)}
}
