// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errSignature = errors.New("missing or wrong signature")
	errMissing   = fmt.Errorf("%w: the forge has to be given the secret", errSignature)
)

// An authenticator looks for what shows that a request comes from the forge.
// It returns an error if there is nothing, or something that is wrong whatever
// the body, or else a func that decides by the body and by the payload in it.
type authenticator func(http.Header) (verify func(body, payload []byte) bool, err error)

// signatureHeader is a header that has an HMAC in hex, after a prefix.
type signatureHeader struct{ name, prefix string }

// signatureHeaders returns those of a forge; the first that is present decides.
func (f Forge) signatureHeaders() []signatureHeader {
	switch f {
	case GitHub, Forgejo:
		// Forgejo and Gitea can pass for GitHub, but a request that has their
		// own header has to stand by it.
		return []signatureHeader{
			{"X-Forgejo-Signature", ""},
			{"X-Gitea-Signature", ""},
			{"X-Hub-Signature-256", "sha256="},
		}
	case Bitbucket:
		return []signatureHeader{{"X-Hub-Signature", "sha256="}}
	}
	return nil
}

func (f Forge) authenticator(secrets []Secret) (authenticator, error) {
	switch f {
	case GitHub, Forgejo, Bitbucket:
		return hmacAuthenticator(f.signatureHeaders(), secrets), nil
	case GitLab:
		return gitlabAuthenticator(secrets)
	}
	return nil, fmt.Errorf("hook: Forge is %q: use %q, %q, %q or %q", string(f), GitHub, GitLab, Forgejo, Bitbucket)
}

func hmacAuthenticator(headers []signatureHeader, secrets []Secret) authenticator {
	return func(h http.Header) (func(body, payload []byte) bool, error) {
		mac, err := signature(h, headers)
		if err != nil {
			return nil, err
		}
		return func(body, payload []byte) bool {
			if matches(mac, secrets, body) {
				return true
			}
			// Forgejo and Gitea sign the payload of a form, GitHub all of it.
			// Either way what is then parsed is what was signed. Only that of
			// a form differs from the body.
			return payload != nil && len(payload) != len(body) && matches(mac, secrets, payload)
		}, nil
	}
}

// signature returns the HMAC of the first header that is present.
func signature(h http.Header, headers []signatureHeader) ([]byte, error) {
	for _, header := range headers {
		values := h.Values(header.name)
		if len(values) == 0 {
			continue
		}
		digits, ok := strings.CutPrefix(values[0], header.prefix)
		mac, err := hex.DecodeString(digits)
		// Two values would leave it to chance which one a proxy has checked.
		if len(values) > 1 || !ok || err != nil || len(mac) != sha256.Size {
			return nil, fmt.Errorf("%w: malformed %s", errSignature, header.name)
		}
		return mac, nil
	}
	return nil, errMissing
}

// matches reports whether mac is that of data under one of the secrets. All
// are tried, so that the time does not tell which.
func matches(mac []byte, secrets []Secret, data []byte) bool {
	found := false
	for _, secret := range secrets {
		if hmac.Equal(mac, sum([]byte(secret.Reveal()), data)) {
			found = true
		}
	}
	return found
}

func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

const (
	signingTokenPrefix = "whsec_"
	// signatureAge is how far off a signed time may be, either way.
	signatureAge = 5 * time.Minute
)

// gitlabAuthenticator tells signing tokens from shared secrets by their prefix.
func gitlabAuthenticator(secrets []Secret) (authenticator, error) {
	var keys, tokens []Secret
	for i, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret.Reveal(), signingTokenPrefix)
		if !ok {
			tokens = append(tokens, secret)
			continue
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("hook: Secrets[%d] starts with %q, but is no signing token: copy it again", i, signingTokenPrefix)
		}
		keys = append(keys, Secret(key))
	}
	return func(h http.Header) (func(body, payload []byte) bool, error) {
		if len(keys) > 0 && len(h.Values("Webhook-Signature")) > 0 {
			return standardWebhook(h, keys)
		}
		if !tokenMatches(h.Values("X-Gitlab-Token"), tokens) {
			return nil, errSignature
		}
		return func(_, _ []byte) bool { return true }, nil
	}, nil
}

// tokenMatches compares hashes, since comparing the secrets themselves would
// tell their length.
func tokenMatches(values []string, tokens []Secret) bool {
	if len(values) != 1 {
		return false
	}
	got := sha256.Sum256([]byte(values[0]))
	found := 0
	for _, token := range tokens {
		want := sha256.Sum256([]byte(token.Reveal()))
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

// standardWebhook verifies an HMAC over id, time and body. The header may hold
// several, apart by spaces, while the sender rotates its key.
func standardWebhook(h http.Header, keys []Secret) (func(body, payload []byte) bool, error) {
	id, timestamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return nil, fmt.Errorf("%w: malformed Webhook-Id or Webhook-Timestamp", errSignature)
	}
	if age := time.Since(time.Unix(seconds, 0)); age.Abs() > signatureAge {
		return nil, fmt.Errorf("%w: it is older than %v, or a clock is wrong", errSignature, signatureAge)
	}
	var macs [][]byte
	for entry := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		encoded, ok := strings.CutPrefix(entry, "v1,")
		if mac, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && len(macs) < 8 {
			macs = append(macs, mac)
		}
	}
	return func(body, _ []byte) bool {
		found := false
		for _, key := range keys {
			want := sum([]byte(key.Reveal()), []byte(id+"."+timestamp+"."), body)
			for _, mac := range macs {
				found = found || hmac.Equal(mac, want)
			}
		}
		return found
	}, nil
}
