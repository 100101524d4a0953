package sqs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Object is an object that a notification says is new.
type Object struct{ Bucket, Key string }

// errUnknown means that a message is no notification of S3's.
var errUnknown = errors.New("it is no notification of a bucket's")

// body is every form of notification at once: S3's own (Records), one that came through SNS (Message), and EventBridge's (detail).
type body struct {
	Records []struct {
		EventName string `json:"eventName"`
		S3        struct {
			Bucket struct{ Name string }
			Object struct{ Key string }
		} `json:"s3"`
	}
	Event      string // s3:TestEvent, which is sent when notifications are set up
	Type       string
	Message    string
	DetailType string `json:"detail-type"`
	Detail     struct {
		Bucket struct{ Name string }
		Object struct{ Key string }
	}
}

// Parse reads the body of a message: what S3 sends itself, what comes through SNS, and through EventBridge. What tells of anything else than
// new objects gives none.
func Parse(data []byte) ([]Object, error) { return parse(data, true) }

func parse(data []byte, mayWrap bool) (objects []Object, err error) {
	var b body
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%w: %v", errUnknown, err)
	}
	switch {
	case b.Type == "Notification" && mayWrap:
		return parse([]byte(b.Message), false)
	case b.DetailType == "Object Created": // its key is as it is
		objects = append(objects, Object{b.Detail.Bucket.Name, b.Detail.Object.Key})
	case strings.HasPrefix(b.DetailType, "Object "), b.Event == "s3:TestEvent":
		return nil, nil
	case len(b.Records) > 0:
		for _, r := range b.Records {
			if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
				continue
			}
			key, err := url.QueryUnescape(r.S3.Object.Key) // S3 encodes it as a form does
			if err != nil {
				return nil, fmt.Errorf("%w: the key %q is not encoded as it should be", errUnknown, r.S3.Object.Key)
			}
			objects = append(objects, Object{r.S3.Bucket.Name, key})
		}
	default:
		return nil, errUnknown
	}
	for _, o := range objects {
		if o.Bucket == "" || o.Key == "" {
			return nil, errUnknown
		}
	}
	return objects, nil
}
