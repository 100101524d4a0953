// Package held keeps on disk, beside the spool, what a sender was told had been taken and no recording has yet, so that the process after a
// crash finds it. Nobody waits for its disk longer than a moment: what that does not take stays in memory alone, as without this package. It
// refuses to know what the bytes are, who asks for them, and when they are not needed any more: its owner says so.
package held
