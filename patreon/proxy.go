// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proxyPrefix comes before the paths of the API.
const proxyPrefix = "/v1/proxy"

// proxied are the paths that can be read through the proxy. Webhooks are not
// among them: their answers have secrets in them.
var proxied = regexp.MustCompile(`^/api/oauth2/v2/(identity|campaigns|campaigns/[A-Za-z0-9_-]+(/members|/posts)?|(members|posts)/[A-Za-z0-9_-]+)$`)

// proxy makes requests for others, each once though many want it, and keeps the
// answers for a while.
type proxy struct {
	keeper    *Keeper
	freshFor  time.Duration
	staleFor  time.Duration
	perMinute int

	mu      sync.Mutex // guards what follows
	kept    map[string]*keptAnswer
	size    int // of the bodies in kept, in bytes
	flights map[string]*fetching
	calls   []time.Time // in the last minute
}

// keptAnswer is an answer that was kept.
type keptAnswer struct {
	response *response
	at       time.Time
}

// fetching is a request under way.
type fetching struct {
	done chan struct{}
	page *keptAnswer // once done is closed
	err  error
}

// maxKept is how much of answers is kept in memory, in bytes.
const maxKept = 64 << 20

func newProxy(cfg TokenServerConfig) *proxy {
	return &proxy{
		keeper: cfg.Keeper, freshFor: cfg.CacheFor, staleFor: cfg.StaleFor, perMinute: cfg.PerMinute,
		kept: map[string]*keptAnswer{}, flights: map[string]*fetching{},
	}
}

// serveProxy answers a request with what Patreon answers, or with what it
// answered not long ago.
func (s *TokenServer) serveProxy(w http.ResponseWriter, r *http.Request) int {
	path := strings.TrimPrefix(r.URL.Path, proxyPrefix)
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case !proxied.MatchString(path):
		return answerProblem(w, http.StatusForbidden, "NotAllowed", "the proxy serves what only reads: identity, campaigns, members and posts")
	case err != nil:
		return answerProblem(w, http.StatusBadRequest, "BadQuery", "the query cannot be read")
	}
	p, err := s.proxy.get(r.Context(), request{method: http.MethodGet, path: path, query: query})
	if p == nil {
		return s.proxyError(w, r, err)
	}
	if err != nil {
		s.log.WarnContext(r.Context(), "patreon: the proxy gives an old answer", "path", path, "err", err)
		w.Header().Set("Warning", `111 - "Revalidation Failed"`)
	}
	h := w.Header()
	h.Set("Content-Type", p.response.header.Get("Content-Type"))
	h.Set("Age", strconv.Itoa(int(time.Since(p.at).Seconds())))
	h.Set("Content-Length", strconv.Itoa(len(p.response.body)))
	w.WriteHeader(p.response.status)
	if r.Method != http.MethodHead {
		w.Write(p.response.body)
	}
	return p.response.status
}

// proxyError passes on what is wrong in the form that Patreon has for errors.
func (s *TokenServer) proxyError(w http.ResponseWriter, r *http.Request, err error) int {
	e, ok := errors.AsType[*Error](err)
	switch {
	case isNoToken(err):
		s.log.WarnContext(r.Context(), "patreon: no token for the proxy", "err", err)
		w.Header().Set("Retry-After", "60")
		name, detail := whyNoToken(err)
		return answerProblem(w, http.StatusServiceUnavailable, name, detail)
	case ok && (e.Status < 400 || e.HTML), !ok && !errors.Is(err, errBudget):
		s.log.WarnContext(r.Context(), "patreon: the proxy has no answer", "err", err)
		w.Header().Set("Retry-After", "30")
		return answerProblem(w, http.StatusBadGateway, "BadGateway", "there is no answer of Patreon to be had; the log of the token server tells why")
	case !ok:
		w.Header().Set("Retry-After", "60")
		return answerProblem(w, http.StatusTooManyRequests, "RequestThrottled", errBudget.Error())
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
	return answerProblem(w, e.Status, e.Name, e.Detail)
}

func answerProblem(w http.ResponseWriter, code int, name, detail string) int {
	type problem struct {
		Name   string `json:"code_name"`
		Detail string `json:"detail"`
		Status string `json:"status"`
		Title  string `json:"title"`
	}
	return answerJSON(w, code, map[string][]problem{"errors": {{name, detail, strconv.Itoa(code), http.StatusText(code)}}})
}

// noTokenError is the keeper's. There may be an [*Error] in it, which is about
// the token endpoint and no answer to what was asked.
type noTokenError struct{ error }

func (n noTokenError) Unwrap() error { return n.error }

func isNoToken(err error) bool {
	_, ok := errors.AsType[noTokenError](err)
	return ok
}

// errBudget is why a request is not made.
var errBudget = errors.New("patreon: all requests of this minute are spent")

// get returns an answer that is fresh enough. If there is none to be had it
// returns an old one, and the error.
func (p *proxy) get(ctx context.Context, r request) (*keptAnswer, error) {
	key := r.path + "?" + r.query.Encode()
	p.mu.Lock()
	old := p.kept[key]
	if old != nil && time.Since(old.at) < p.freshFor {
		p.mu.Unlock()
		return old, nil
	}
	f := p.flights[key]
	if f == nil {
		f = &fetching{done: make(chan struct{})}
		p.flights[key] = f
		go p.fly(context.WithoutCancel(ctx), key, r, f)
	}
	p.mu.Unlock()
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.page, nil
		}
		err = f.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if old != nil && time.Since(old.at) < p.staleFor && mayPass(err) {
		return old, err
	}
	return nil, err
}

// mayPass reports whether an old answer will do in place of an error: not if
// Patreon says that things are otherwise now.
func mayPass(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return !ok || isNoToken(err) || e.HTML || e.Status >= 500 || e.Status == http.StatusUnauthorized || e.Status == http.StatusTooManyRequests || e.Status < 400
}

// proxyTimeout bounds one request of the proxy.
const proxyTimeout = 60 * time.Second

// fly makes a request, and keeps what comes.
func (p *proxy) fly(ctx context.Context, key string, r request, f *fetching) {
	ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
	defer cancel()
	answer, err := p.call(ctx, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.err = err; err == nil {
		f.page = &keptAnswer{answer, time.Now()}
		p.keep(key, f.page)
	}
	delete(p.flights, key)
	close(f.done)
}

// call makes a request with the keeper's token. If it is refused, the keeper
// hears of it, and if it has another one then the request is made again.
func (p *proxy) call(ctx context.Context, r request) (*response, error) {
	t, err := p.keeper.Token(ctx)
	if err != nil {
		return nil, noTokenError{err}
	}
	answer, err := p.callWith(ctx, r, t)
	if !errors.Is(err, ErrUnauthorized) || p.keeper.ReportUnauthorized(ctx, t) != nil {
		return answer, err
	}
	again, tokenErr := p.keeper.Token(ctx)
	if tokenErr != nil || again.Access == t.Access {
		return answer, err
	}
	return p.callWith(ctx, r, again)
}

func (p *proxy) callWith(ctx context.Context, r request, t Token) (*response, error) {
	if !p.spend(time.Now()) {
		return nil, errBudget
	}
	r.header = http.Header{"Authorization": {"Bearer " + t.Access.Reveal()}}
	r.secrets = []string{t.Access.Reveal()}
	return p.keeper.endpoint.do(ctx, r)
}

// spend takes one request out of the minute's budget.
func (p *proxy) spend(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.calls) > 0 && now.Sub(p.calls[0]) >= time.Minute {
		p.calls = p.calls[1:]
	}
	if len(p.calls) >= p.perMinute {
		return false
	}
	p.calls = append(p.calls, now)
	return true
}

// keep remembers an answer, and forgets the oldest ones when there are too many.
func (p *proxy) keep(key string, answer *keptAnswer) {
	p.drop(key)
	limit := max(p.freshFor, p.staleFor)
	for k, kept := range p.kept { // there are people's names in them
		if time.Since(kept.at) >= limit {
			p.drop(k)
		}
	}
	if limit <= 0 || len(answer.response.body) > maxKept/4 {
		return
	}
	p.kept[key] = answer
	p.size += len(answer.response.body) + len(key)
	for p.size > maxKept {
		oldest := ""
		for k, kept := range p.kept {
			if oldest == "" || kept.at.Before(p.kept[oldest].at) {
				oldest = k
			}
		}
		p.drop(oldest)
	}
}

func (p *proxy) drop(key string) {
	if kept := p.kept[key]; kept != nil {
		p.size -= len(kept.response.body) + len(key)
		delete(p.kept, key)
	}
}
