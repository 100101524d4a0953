package sqs

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const records = `{"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:CompleteMultipartUpload","s3":{"bucket":{"name":"media"},"object":{"key":"uploads/a+b%C3%A4.mov","size":5}}},` +
	`{"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"media"},"object":{"key":"x"}}}]}`

func TestParse(t *testing.T) {
	wrapped, err := json.Marshal(map[string]string{"Type": "Notification", "Message": records})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(map[string]string{"Type": "Notification", "Message": string(wrapped)})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string][]Object{
		records:         {{"media", "uploads/a bä.mov"}},
		string(wrapped): {{"media", "uploads/a bä.mov"}},
		`{"detail-type":"Object Created","detail":{"bucket":{"name":"media"},"object":{"key":"uploads/a+b.mov"}}}`: {{"media", "uploads/a+b.mov"}},
		`{"detail-type":"Object Deleted","detail":{"bucket":{"name":"media"},"object":{"key":"x"}}}`:               {},
		`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"media"}`:                                          {},
	} {
		if got, err := Parse([]byte(in)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "[]", "{}", "hello", string(twice), `{"Records":[{"eventName":"ObjectCreated:Put","s3":{}}]}`, `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%zz"}}}]}`} {
		if got, err := Parse([]byte(in)); err == nil {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(records))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := Parse(data)
		for _, o := range objects {
			if err != nil || o.Bucket == "" || o.Key == "" {
				t.Errorf("%v, %v", objects, err)
			}
		}
	})
}

// speaker speaks as much of SQS as a reader needs (AWS JSON 1.0).
type speaker struct {
	t *testing.T
	*httptest.Server
	mu      sync.Mutex
	bodies  map[string]string // by receipt
	refuses int
}

func newSpeaker(t *testing.T, bodies ...string) *speaker {
	s := &speaker{t: t, bodies: map[string]string{}}
	for i, b := range bodies {
		s.bodies[fmt.Sprint("receipt-", i)] = b
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *speaker) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ QueueUrl, ReceiptHandle string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.QueueUrl != s.URL+"/1/uploads" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=k/") {
		s.t.Errorf("%+v, %v, %v", in, err, r.Header)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if s.refuses > 0 {
		s.refuses--
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
		return
	}
	switch r.Header.Get("X-Amz-Target") {
	case "AmazonSQS.ReceiveMessage":
		type message struct{ MessageId, ReceiptHandle, Body, MD5OfBody string }
		out := struct{ Messages []message }{}
		for receipt, body := range s.bodies {
			sum := md5.Sum([]byte(body))
			out.Messages = append(out.Messages, message{"m", receipt, body, hex.EncodeToString(sum[:])})
		}
		_ = json.NewEncoder(w).Encode(out)
	case "AmazonSQS.DeleteMessage":
		delete(s.bodies, in.ReceiptHandle)
		fmt.Fprint(w, "{}")
	default:
		s.t.Errorf("asked for %s", r.Header.Get("X-Amz-Target"))
	}
}

func TestQueue(t *testing.T) {
	s := newSpeaker(t, records, "noise")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, err := Open(ctx, Options{URL: s.URL + "/1/uploads", AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{2, 0} {
		all, err := q.Receive(ctx)
		if err != nil || len(all) != left {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, m := range all {
			if m.Unknown != (len(m.Objects) == 0) {
				t.Errorf("%+v", m)
			}
			if err := q.Done(ctx, m); err != nil {
				t.Error(err)
			}
		}
	}
	s.refuses = 1
	if _, err := q.Receive(ctx); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open(t.Context(), Options{URL: "uploads"}); err == nil {
		t.Error("it is no URL")
	}
	q, err := Open(t.Context(), Options{URL: "https://sqs.eu-west-3.amazonaws.com/1/q", AccessKey: "k", SecretKey: "s"})
	if err != nil || q.client.Options().Region != "eu-west-3" {
		t.Errorf("%v", err)
	}
}
