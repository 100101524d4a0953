package storage_test

import (
	"context"
	"slices"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// browser is a store that counts calls of Browse, and must not be walked.
type browser struct {
	storage.Store
	browsed int
}

func (b *browser) Browse(_ context.Context, prefix string, fn func(storage.Object) error) error {
	b.browsed++
	return fn(storage.Object{Key: prefix + "folder/"})
}

// plain hides everything of what it wraps except the Store interface, and implements Unwrapper.
type plain struct{ storage.Store }

func (p plain) Unwrap() storage.Store { return p.Store }

func TestNoDecoratorHidesWhatIsBelow(t *testing.T) {
	for name, wrap := range map[string]func(storage.Store) storage.Store{
		"retry":   func(s storage.Store) storage.Store { return storage.Retry(s, storage.RetryOptions{Attempts: 1}) },
		"limit":   func(s storage.Store) storage.Store { return storage.Limit(s, 1) },
		"measure": func(s storage.Store) storage.Store { return storage.Measure(s, &storage.StoreStats{}) },
		"plain":   func(s storage.Store) storage.Store { return plain{s} },
		"all": func(s storage.Store) storage.Store {
			return plain{storage.Retry(storage.Limit(plain{storage.Measure(s, &storage.StoreStats{})}, 1), storage.RetryOptions{})}
		},
	} {
		b := &browser{Store: &storetest.Memory{}}
		var keys []string
		err := storage.Browse(t.Context(), wrap(b), "a/", func(o storage.Object) error { keys = append(keys, o.Key); return nil })
		if err != nil || b.browsed != 1 || !slices.Equal(keys, []string{"a/folder/"}) {
			t.Errorf("%s: browsed %d times, %v, %v", name, b.browsed, keys, err)
		}
	}
	if _, ok := storage.As[storage.Browser](plain{&storetest.Memory{}}); ok {
		if _, has := any(&storetest.Memory{}).(storage.Browser); !has {
			t.Error("an ability that nobody has")
		}
	}
}
