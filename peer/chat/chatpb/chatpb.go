// Package chatpb is the chat's protocol as generated from chat.proto.
package chatpb

//go:generate go run ./generate
