// Package fake is a stand-in for Firestore in tests and benchmarks.
package fake

import (
	"context"
	"net"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Server is a server of Firestore's gRPC API with the two methods that the
// store uses, and of those what it uses: reading documents by name, and a
// commit of one write under the precondition that the document is missing
// (exists=false) or has a given time of update. It has no transactions (the
// store begins none), no queries, listeners, transforms, field masks (a write
// replaces the document), databases, limits, indexes, security rules or
// credentials, and nothing outlasts it. Any other method answers Unimplemented.
type Server struct {
	pb.UnimplementedFirestoreServer
	addr string
	grpc *grpc.Server
	done chan struct{}

	mu           sync.Mutex
	docs         map[string]*pb.Document
	last         time.Time
	beforeCommit func() error
}

// Start starts a server on loopback. Stop ends it.
func Start() (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Server{addr: l.Addr().String(), grpc: grpc.NewServer(), done: make(chan struct{}), docs: map[string]*pb.Document{}}
	pb.RegisterFirestoreServer(f.grpc, f)
	go func() {
		defer close(f.done)
		_ = f.grpc.Serve(l) // nil after Stop
	}()
	return f, nil
}

// Addr returns what to set FIRESTORE_EMULATOR_HOST to.
func (f *Server) Addr() string { return f.addr }

// Stop ends the server.
func (f *Server) Stop() {
	f.grpc.Stop()
	<-f.done
}

// BeforeCommit sets what is called before a commit takes effect; an error of it
// is the answer instead.
func (f *Server) BeforeCommit(hook func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beforeCommit = hook
}

// BatchGetDocuments implements reading by name.
func (f *Server) BatchGetDocuments(req *pb.BatchGetDocumentsRequest, out pb.Firestore_BatchGetDocumentsServer) error {
	if req.GetTransaction() != nil || req.GetNewTransaction() != nil || req.GetReadTime() != nil {
		return status.Error(codes.Unimplemented, "only plain reads")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range req.GetDocuments() {
		resp := &pb.BatchGetDocumentsResponse{
			Result:   &pb.BatchGetDocumentsResponse_Missing{Missing: name},
			ReadTime: timestamppb.Now(),
		}
		if doc := f.docs[name]; doc != nil {
			resp.Result = &pb.BatchGetDocumentsResponse_Found{Found: doc}
		}
		if err := out.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements a conditional write of one document.
func (f *Server) Commit(_ context.Context, req *pb.CommitRequest) (*pb.CommitResponse, error) {
	if req.GetTransaction() != nil || len(req.GetWrites()) != 1 || req.GetWrites()[0].GetUpdate() == nil ||
		len(req.GetWrites()[0].GetUpdateTransforms()) > 0 {
		return nil, status.Error(codes.Unimplemented, "only one update outside a transaction")
	}
	f.mu.Lock()
	hook := f.beforeCommit
	f.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	write := req.GetWrites()[0]
	name := write.GetUpdate().GetName()
	old := f.docs[name]
	switch condition := write.GetCurrentDocument().GetConditionType().(type) {
	case *pb.Precondition_Exists:
		if condition.Exists && old == nil {
			return nil, status.Error(codes.NotFound, "no document to update")
		}
		if !condition.Exists && old != nil {
			return nil, status.Error(codes.AlreadyExists, "document already exists")
		}
	case *pb.Precondition_UpdateTime:
		if old == nil || !old.GetUpdateTime().AsTime().Equal(condition.UpdateTime.AsTime()) {
			return nil, status.Error(codes.FailedPrecondition, "the stored version does not match the required base version")
		}
	}
	// Microseconds, and never the same twice, as in Firestore.
	now := time.Now().Truncate(time.Microsecond)
	if !now.After(f.last) {
		now = f.last.Add(time.Microsecond)
	}
	f.last = now
	f.docs[name] = &pb.Document{Name: name, Fields: write.GetUpdate().GetFields(), CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now)}
	return &pb.CommitResponse{WriteResults: []*pb.WriteResult{{UpdateTime: timestamppb.New(now)}}, CommitTime: timestamppb.New(now)}, nil
}
