package event

import "context"

type shellKey struct{}

// WithShell returns a context under which what is done was typed in the shell of
// that name.
func WithShell(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, shellKey{}, name)
}

// ShellOf returns the name given to [WithShell], or nothing.
func ShellOf(ctx context.Context) string {
	name, _ := ctx.Value(shellKey{}).(string)
	return name
}
