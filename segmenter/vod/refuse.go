package vod

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

func refuse(code, format string, a ...any) *Refusal { return &Refusal{code, fmt.Sprintf(format, a...)} }

// explain makes a Refusal of an error that is the file's fault. what is what was done.
func explain(what string, err error) error {
	var f *file.Error
	if errors.As(err, &f) {
		code := map[file.Kind]string{file.Empty: CodeEmpty, file.NotMedia: CodeNotMedia, file.Truncated: CodeTruncated, file.Damaged: CodeDamaged, file.Encrypted: CodeEncrypted}[f.Kind]
		return &Refusal{code, f.Reason}
	}
	var u *codec.Unsupported
	if errors.As(err, &u) {
		return &Refusal{CodeCodec, u.Error()}
	}
	var p *ffmpeg.Failure
	if errors.As(err, &p) {
		return explainFailure(what, p)
	}
	return err
}

// explainFailure tells by a process's last words whether the file is at fault.
func explainFailure(what string, f *ffmpeg.Failure) error {
	words := strings.Join(f.Words, " | ")
	has := func(all ...string) bool {
		for _, s := range all {
			if strings.Contains(words, s) {
				return true
			}
		}
		return false
	}
	switch {
	case f.State == "":
		return fmt.Errorf("%s: %w: install ffmpeg 5.1 or newer, with libx264", what, f)
	case strings.Contains(f.State, "signal") && !errors.Is(f, ffmpeg.ErrStalled):
		return fmt.Errorf("%s: ffmpeg was killed (%s): the machine may be short of memory; fewer workers or threads need less", what, f.State)
	case has("Unknown encoder", "Unrecognized option", "No such filter", "Error initializing filter"):
		return fmt.Errorf("%s: this ffmpeg cannot do what is needed: install 5.1 or newer, with libx264 and zimg: %s", what, words)
	case has("moov atom not found", "Truncating packet", "End of file"):
		return refuse(CodeTruncated, "the file ends too early: it is not complete; upload it again (ffmpeg says: %s)", words)
	case has("pts and dts value must be set", "unknown timestamp"):
		return refuse(CodeCodec, "the file does not say when its pictures are shown, as AVI cannot for those that are not in their order: make an adaptive_video package of it, which codes them anew (ffmpeg says: %s)", words)
	case has("Decoder (codec", "no decoder found", "Decoding requested, but no decoder", "Unknown decoder"):
		return refuse(CodeCodec, "ffmpeg cannot decode the file: %s", words)
	case has("encrypted", "decryption"):
		return refuse(CodeEncrypted, "the file is encrypted (DRM): it needs a key that is not here; upload one that is not protected")
	case has("Invalid data found", "could not find codec parameters", "Could not find codec parameters", "Invalid argument", "does not contain any stream", "partial file", "EBML header parsing failed", "Invalid NAL", "Error while decoding"):
		return refuse(CodeDamaged, "ffmpeg cannot read the file: it is damaged, or no media; export or upload it again (ffmpeg says: %s)", words)
	}
	if words != "" {
		return fmt.Errorf("%s: %w: ffmpeg says: %s", what, f, words)
	}
	return fmt.Errorf("%s: %w", what, f)
}
