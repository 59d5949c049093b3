// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"xeiaso.net/site/internal/secret"
)

// Secret is a password or token. It prints as "[redacted]" everywhere; Reveal
// returns it.
type Secret = secret.String

// Target is a place at which posts are announced. Package syndicate has one for
// each network in a package of its own; others can be written against this
// interface alone. Everything beyond Send is optional: [Composer], [Preparer],
// [Reconciler], [Editor], [Deleter], [Recoverer], [Runner], [Defaulter].
//
// A [Syndicator] calls the methods of one target one at a time, except Run, and
// Defaults. They have to return soon after their context has ended.
type Target interface {
	// Send announces a post, and returns when the network has confirmed it.
	//
	// An *[Error] with NotSent promises that the network has not got the
	// announcement and will not get it later; only then is the same sent again
	// without further ado. Any other error means that nobody knows. Then the
	// target is asked to reconcile or, if it is no [Reconciler], the post is
	// parked until a person decides.
	Send(ctx context.Context, a Attempt) (Receipt, error)
}

// Composer is a [Target] that makes of a message what it will send: text that
// fits, language, picture. Without it the body is the text, as a JSON string.
type Composer interface {
	// Compose returns a JSON value of at most [MaxBody] bytes that Send and
	// Edit need to know, and nothing else than the message, for the same
	// message gives the same body. It may ask the network, but changes nothing
	// there. The body is kept, and is the same for all attempts.
	Compose(ctx context.Context, m Message) ([]byte, error)
}

// Preparer is a [Target] that has something to do before it can send, such as to
// connect.
type Preparer interface {
	// Prepare gets ready to send. A crash while it runs leaves no doubt: nothing
	// was sent. Where nothing can be reconciled, that is worth having.
	Prepare(ctx context.Context) error
}

// Reconciler is a [Target] that can find out what became of an attempt.
type Reconciler interface {
	// Reconcile looks for the announcement of an attempt whose outcome nobody
	// knows. The error is [ErrAbsent] if the network has not got it and will
	// not get it any more; then it is sent again. After another error it is
	// asked again later, or never if that is an *[Error] with Refused.
	Reconcile(ctx context.Context, a Attempt) (Receipt, error)
}

// Editor is a [Target] that can change an announcement.
type Editor interface {
	// Edit replaces the announcement that has the receipt. It may be called
	// again with the same attempt after any error.
	Edit(ctx context.Context, a Attempt, r Receipt) (Receipt, error)
}

// Deleter is a [Target] that can take an announcement back.
type Deleter interface {
	// Delete removes the announcement that has the receipt, and returns nil if
	// it is gone already. It may be called again after any error.
	Delete(ctx context.Context, r Receipt) error
}

// Recoverer is a [Target] that can tell what was announced there before.
type Recoverer interface {
	// Recover returns the receipts of those of the posts that were announced,
	// by [Post.ID]. It may return some of them and an error.
	Recover(ctx context.Context, posts []Post) (map[string]Receipt, error)
}

// Runner is a [Target] that has something to do between announcements, such as
// to keep a connection.
type Runner interface {
	// Run returns when ctx ends, after everything that it started has ended.
	Run(ctx context.Context) error
}

// Defaulter is a [Target] whose network has habits of its own.
type Defaulter interface {
	Defaults() Defaults
}

// Defaults are what holds for a [Target] where its [Destination] says nothing.
type Defaults struct {
	// Template makes the text, see [Destination.Template]. If empty, it is
	// [DefaultTemplate].
	Template string
	// KeepFirst leaves announcements as they were, although the target is an
	// [Editor].
	KeepFirst bool
}

// MaxBody is how long the body of an announcement may be, in bytes.
const MaxBody = 32 << 10

// Message is a post, and what is to be said about it at one target.
type Message struct {
	Post Post
	// Text is what the author wrote for the target, or what its template made.
	// It is not shortened or escaped. It may be empty.
	Text string
	// Link is the post's address as it is to be announced, with the target's
	// UTM parameters. It is empty if the post has none.
	Link string
	// Language is a BCP 47 tag. If empty, it is not known.
	Language string
	// ContentWarning is shown in front of the post. If empty, nothing is.
	ContentWarning string
	// Visibility is one of [Visibilities]. If empty, it is the account's
	// default.
	Visibility string
}

// Attempt is one try to announce a post at a target. All attempts at one
// announcement are equal but for Number and Last.
type Attempt struct {
	// Target is the name of the target.
	Target string
	// ID, URL and Aliases are those of the post.
	ID      string
	URL     string
	Aliases []string
	// Link is the address that is announced, as in [Message].
	Link string
	// Key is 32 hexadecimal digits that stand for post and target, for networks
	// that tell by a key whether they have got something before.
	Key string
	// Body is what [Composer.Compose] returned.
	Body []byte
	// Created is when the body was made, in UTC and whole milliseconds.
	Created time.Time
	// Number counts attempts, from 1.
	Number int
	// Last is when the attempt before ended, or was given up, if its outcome is
	// not known. If zero, there is none such: nothing of it can be on the
	// network.
	Last time.Time
}

// Receipt is what a network returned for an announcement.
type Receipt struct {
	// ID is what the network knows the announcement by. Without one it cannot be
	// edited or removed. It has at most 2048 bytes, as has URL: what is longer is
	// not kept.
	ID string `json:"id,omitempty"`
	// URL is where people see it. If empty, it has no address.
	URL string `json:"url,omitempty"`
}

// ErrAbsent is returned by [Reconciler.Reconcile] if the network surely has not
// got the announcement.
var ErrAbsent = errors.New("syndicate: the network has not got the announcement")

// Error is what a [Target] returns if it knows more than that something went
// wrong. The zero value of each field promises nothing.
type Error struct {
	// Err says what happened, without any secret. Records keep its first 1024
	// bytes.
	Err error
	// NotSent promises that the network has not got the announcement and will
	// not get it later.
	NotSent bool
	// Refused says that trying the same again is of no use. The post is parked,
	// or with Everything the whole target waits for a person.
	Refused bool
	// Everything says that it is about the target and not about this post: the
	// network is down, or the password is wrong. The other posts wait, too.
	Everything bool
	// RetryAfter is how long the network wants to be left alone. If zero, it
	// did not say.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e == nil || e.Err == nil {
		return "something went wrong, the target does not say what"
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// knownOf returns what a target knows about an error: nothing, if it says
// nothing.
func knownOf(err error) Error {
	if known, ok := errors.AsType[*Error](err); ok && known != nil {
		return *known
	}
	return Error{}
}

// SameAddress reports whether two addresses lead to the same page: they may
// differ in utm parameters, in http and https, in the fragment, in capitals of
// the host, and in a slash at the end. It finds an announcement by its link.
func SameAddress(a, b string) bool {
	return a == b || pageOf(a) != "" && pageOf(a) == pageOf(b)
}

// pageOf is what two addresses of one page have in common, or "" if it is no
// address of a page.
func pageOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	var kept []string
	for param := range strings.SplitSeq(u.RawQuery, "&") {
		if param != "" && !strings.HasPrefix(param, "utm_") {
			kept = append(kept, param)
		}
	}
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + port
	}
	return host + strings.TrimSuffix(u.EscapedPath(), "/") + "?" + strings.Join(kept, "&")
}

// IsAbout reports whether a link leads to the announced post, by its present
// address or a former one, see [SameAddress].
func (a Attempt) IsAbout(link string) bool {
	return isAbout(link, a.Link, a.URL, a.Aliases)
}

// IsAbout reports whether a link leads to the post, by its present address or a
// former one, see [SameAddress].
func (p Post) IsAbout(link string) bool {
	return isAbout(link, p.URL, p.URL, p.Aliases)
}

func isAbout(link, announced, address string, aliases []string) bool {
	for _, own := range append([]string{announced, address}, aliases...) {
		if own != "" && SameAddress(link, own) {
			return true
		}
	}
	return false
}
