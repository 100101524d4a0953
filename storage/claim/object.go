package claim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Read returns the claim under a key, with its ETag; zero and "" if there is none. Of something that is no claim it returns the ETag, and an
// error: see Damaged.
func Read(ctx context.Context, store storage.Getter, key string) (c Claim, etag string, err error) {
	body, o, err := store.Get(ctx, key, 0, maxClaim+1)
	switch storage.KindOf(err) {
	case storage.None:
	case storage.Missing:
		return Claim{}, "", nil
	default:
		return Claim{}, "", err
	}
	data, err := io.ReadAll(body)
	body.Close()
	switch {
	case err != nil:
		return Claim{}, "", fmt.Errorf("get %s: %w", key, err)
	case o.ETag == "":
		return Claim{}, "", fmt.Errorf("get %s: the store states no ETag: %w", key, errors.ErrUnsupported)
	case o.Size > maxClaim:
		err = errDamaged
	default:
		c, err = parse(data)
	}
	return c, o.ETag, err
}

// Damaged reports whether an error of Read means that there is something, and that it is no claim.
func Damaged(err error) bool { return errors.Is(err, errDamaged) }

// write writes a claim over the one that was read with an ETag; "": where there was none.
func write(ctx context.Context, store storage.Putter, key string, c *Claim, etag string) (string, error) {
	a := storage.Attributes{ContentType: "application/json", CacheControl: "no-store", IfMatch: etag, IfAbsent: etag == ""}
	return store.Put(ctx, key, bytes.NewReader(c.append()), a)
}

// Never is the Recording of a claim of which nothing was recorded yet. It comes before every other.
const Never = "1970-01-01_00-00-00.000"

// Begin takes what nobody has, or what has ended, before anything of it is recorded: by that it is decided between servers that begin at once.
// The claim leads to the recording before until there is another. Errors are those of Succeed.
func Begin(ctx context.Context, store Store, key string, old Claim, etag string, server Server) (Claim, error) {
	if old.Recording == "" {
		old.Recording = Never
	}
	return Succeed(ctx, store, key, old, etag, server)
}

// Succeed goes on with the recording of a claim that was read with an ETag, whose server is gone: it writes one of the server's own over it,
// with the next epoch. storage.ErrChanged means that another was first. If there is no answer, it finds out whether it was written.
func Succeed(ctx context.Context, store Store, key string, old Claim, etag string, server Server) (Claim, error) {
	c := Claim{Epoch: old.Epoch + 1, Node: server.Node, Address: server.Address, Recording: old.Recording, State: Live, Nonce: server.Nonce}
	_, err := write(ctx, store, key, &c, etag)
	switch storage.KindOf(err) {
	case storage.None:
		return c, nil
	case storage.Changed, storage.Exists, storage.Permanent:
		return Claim{}, err
	}
	there, _, again := Read(ctx, store, key)
	if again == nil && there == c {
		return c, nil
	}
	return Claim{}, err
}
