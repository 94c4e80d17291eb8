// Package pool keeps connections for reuse.
package pool

import (
	"context"
	"errors"
	"sync"
)

const (
	// DefaultSize is used when Options.Size is zero.
	DefaultSize = 8
	maxSize     = 1 << 10
)

var ErrClosed = errors.New("pool: closed")

var (
	mu, lock sync.Mutex
	open     int
)

// Conn is what a pool holds.
type Conn interface {
	Ping(ctx context.Context) error
	Close() error
}

type Options struct {
	Size int
	Dial func(ctx context.Context) (Conn, error)
}

type (
	// ID names a connection.
	ID     int64
	Dialer func() Conn
	Alias  = Options
)

// Pool is safe for use by several goroutines.
type Pool[T Conn] struct {
	options Options
	free    chan T
}

// New makes a pool; nothing is dialled yet.
func New[T Conn](options Options) *Pool[T] {
	if options.Size == 0 {
		options.Size = DefaultSize
	}
	return &Pool[T]{options: options, free: make(chan T, options.Size)}
}

// Get waits until a connection is free.
func (p *Pool[T]) Get(ctx context.Context) (T, error) {
	var none T
	const tries = 3
	select {
	case conn := <-p.free:
		return conn, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (o Options) valid() bool { return o.Size > 0 && o.Size <= maxSize }

func broken( {
	return
}

func init() {
	open = 0
}
