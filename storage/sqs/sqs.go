// Package sqs reads a bucket's notifications of new objects from a queue of Amazon SQS. It refuses to trust them: a notification only says
// where to look, and may come late, twice, or not at all. It gives back what was not dealt with, and creates no queue.
package sqs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Options of a Queue.
type Options struct {
	URL string // https://sqs.REGION.amazonaws.com/ACCOUNT/NAME; another host is an endpoint of the same protocol
	// AccessKey and SecretKey are static credentials. Default: the SDK's own chain.
	AccessKey, SecretKey string
	Region               string // default: of the URL, or else the environment's
}

// Queue is one queue. It is safe for concurrent use.
type Queue struct {
	url    string
	client *sqs.Client
}

// How messages are asked for.
const (
	longPoll    = 20 // seconds, the most that there is
	perRequest  = 10 // messages, the most that there is
	answerAfter = longPoll*time.Second + 15*time.Second
)

// Open prepares a client, and asks for nothing yet.
func Open(ctx context.Context, o Options) (*Queue, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a queue: %w", o.URL, storage.ErrPermanent)
	}
	region := o.Region
	if part := strings.Split(u.Hostname(), "."); len(part) >= 4 && part[0] == "sqs" && part[2] == "amazonaws" {
		region = part[1]
	}
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answerAfter })),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
	}
	if region != "" {
		load = append(load, config.WithRegion(region))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w: %w", err, storage.ErrPermanent)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	base := u.Scheme + "://" + u.Host
	return &Queue{url: o.URL, client: sqs.NewFromConfig(cfg, func(c *sqs.Options) { c.BaseEndpoint, c.Logger = &base, logging.Nop{} })}, nil
}

// Message is a message of the queue.
type Message struct {
	Objects []Object // that it says are new; none: it is about something else
	// Unknown means that it is no notification that is known.
	Unknown bool
	receipt *string
}

// Receive waits for messages, for up to twenty seconds. Each must be Done, or it comes again when the queue's visibility time-out is over.
func (q *Queue) Receive(ctx context.Context) ([]Message, error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: perRequest, WaitTimeSeconds: longPoll})
	if err != nil {
		return nil, fmt.Errorf("receive from the queue: %w", err)
	}
	var all []Message
	for i := range out.Messages {
		m := Message{receipt: out.Messages[i].ReceiptHandle}
		objects, err := Parse([]byte(aws.ToString(out.Messages[i].Body)))
		m.Objects, m.Unknown = objects, err != nil
		all = append(all, m)
	}
	return all, nil
}

// Done removes a message from the queue.
func (q *Queue) Done(ctx context.Context, m Message) error {
	if _, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.receipt}); err != nil {
		return fmt.Errorf("delete from the queue: %w", err)
	}
	return nil
}
