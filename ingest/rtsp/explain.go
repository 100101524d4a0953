package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// maxBody is the longest request body that the protocol library reads, in bytes.
const maxBody = 128 << 10

// explain says why the library itself refused a request. err is what it then ended the connection with, or nil if the connection goes on.
// Untyped errors of the library are not shown, since they may contain an address with its key.
func (d *dialogue) explain(status base.StatusCode, err error) string {
	var (
		state     liberrors.ErrServerInvalidState
		transport liberrors.ErrServerTransportHeaderInvalid
		keys      liberrors.ErrServerInvalidKeyMgmtHeader
	)
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	switch {
	case err == nil && status == base.StatusUnsupportedTransport:
		return "this transport is not offered: use TCP (interleaved), or UDP unicast where the server has it switched on; no multicast"
	case err == nil && status == base.StatusNotImplemented && (d.method == base.Record || d.method == base.Teardown):
		return fmt.Sprintf("%s needs the Session header that SETUP was answered with: send ANNOUNCE and SETUP first", d.method)
	case err == nil && status == base.StatusNotImplemented:
		return fmt.Sprintf("%s is not answered: this server only records", d.method)
	case errors.As(err, &state):
		return fmt.Sprintf("%s is out of turn: send ANNOUNCE once, SETUP for each track, then RECORD", d.method)
	case errors.As(err, &transport):
		return fmt.Sprintf("the Transport header cannot be read: %v", transport.Err)
	case errors.As(err, &keys):
		return fmt.Sprintf("the KeyMgmt header cannot be read: %v", keys.Wrapped)
	case errors.As(err, new(liberrors.ErrServerTransportHeaderInvalidMode)) && d.offer != nil:
		return "the Transport header must say mode=record: this server only records"
	case errors.As(err, new(liberrors.ErrServerPathHasChanged)):
		return fmt.Sprintf("%s names another stream than ANNOUNCE", d.method)
	case is(liberrors.ErrServerCSeqMissing{}):
		return "the request has no CSeq header, or more than one"
	case is(liberrors.ErrServerInvalidPath{}):
		return fmt.Sprintf("%s needs an address: rtsp://host/{app}/{stream}", d.method)
	case is(liberrors.ErrServerInvalidSetupPath{}, liberrors.ErrServerSessionNotFound{}),
		errors.As(err, new(liberrors.ErrServerTransportHeaderInvalidMode)):
		return fmt.Sprintf("%s belongs to no announced stream: send ANNOUNCE first", d.method)
	case is(liberrors.ErrServerMediaNotFound{}):
		return "SETUP names a track that the SDP does not announce: check the control attributes"
	case is(liberrors.ErrServerMediaAlreadySetup{}):
		return "SETUP names a track that is set up already"
	case is(liberrors.ErrServerNotAllAnnouncedMediasSetup{}):
		return "RECORD came before SETUP of every announced track"
	case is(liberrors.ErrServerTransportHeaderNoClientPorts{}):
		return "the Transport header names no client_port"
	case is(liberrors.ErrServerTransportHeaderInvalidInterleavedIDs{}):
		return "the Transport header must name two channels in a row: interleaved=0-1"
	case is(liberrors.ErrServerTransportHeaderInterleavedIDsInUse{}):
		return "the Transport header names channels that another track has"
	case is(liberrors.ErrServerMediasDifferentTransports{}):
		return "all tracks must have the same transport"
	case is(liberrors.ErrServerLinkedToOtherSession{}, liberrors.ErrServerSessionLinkedToOtherConn{}, liberrors.ErrServerCannotUseSessionCreatedByOtherIP{}):
		return "the session belongs to another connection"
	case is(liberrors.ErrServerTerminated{}):
		return "the session has ended"
	}
	return fmt.Sprintf("%s cannot be answered", d.method)
}

// unreadable says why a request could not be read completely. It is empty if what came was not a request.
func unreadable(raw []byte, err error, after time.Duration) string {
	line, headers, complete := bytes.Cut(raw, []byte("\r\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 || !isMethod(base.Method(fields[0])) {
		return ""
	}
	if len(fields) >= 2 && !bytes.Equal(fields[1], []byte("*")) && (complete || len(fields) > 2) {
		if _, err := base.ParseURL(string(fields[1])); err != nil {
			return "the address cannot be read: it must be rtsp://host/{app}/{stream}, percent-encoded"
		}
	}
	if complete && (len(fields) != 3 || string(fields[2]) != "RTSP/1.0") {
		return "the first line must be a method, an address and RTSP/1.0"
	}
	for h := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, ok := bytes.Cut(h, []byte(":"))
		if len(h) == 0 {
			break
		}
		if !ok || !bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil || n > maxBody {
			return fmt.Sprintf("the Content-Length is %.20q: it must be the length of the SDP in bytes, at most %d", bytes.TrimSpace(value), maxBody)
		}
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("the request was not complete after %v: is its Content-Length the length of the SDP?", after)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the request was complete: is its Content-Length the length of the SDP?"
	}
	return "the request cannot be read: a header is too long, or is none"
}

func isMethod(m base.Method) bool {
	switch m {
	case base.Announce, base.Describe, base.GetParameter, base.Options, base.Pause, base.Play, base.Record, base.Setup, base.SetParameter, base.Teardown:
		return true
	}
	return false
}
