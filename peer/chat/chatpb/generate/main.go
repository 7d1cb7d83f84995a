// Command generate writes chat.pb.go from chat.proto, both in the current
// directory, with the compiler and the generator that go.mod pins: nothing has
// to be installed. With -check it only says whether the file is current.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const source, target = "chat.proto", "chat.pb.go"

func main() {
	check := flag.Bool("check", false, "write nothing, fail if "+target+" is not current")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	code, err := generate()
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(target, code, 0o644)
	}
	have, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, code) {
		return errors.New(target + " is not what " + source + " gives: make generate")
	}
	return nil
}

func generate() ([]byte, error) {
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{},
		SourceInfoMode: protocompile.SourceInfoStandard, // the comments
	}
	files, err := compiler.Compile(context.Background(), source)
	if err != nil {
		return nil, err
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{source},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{protoutil.ProtoFromFileDescriptor(files[0])},
	})
	if err != nil {
		return nil, err
	}
	internal_gengo.GenerateFile(plugin, plugin.Files[0])
	answer := plugin.Response()
	if answer.Error != nil {
		return nil, errors.New(*answer.Error)
	}
	return []byte(answer.File[0].GetContent()), nil
}
