// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	onionmetrics "xeiaso.net/site/onion/metrics"
	patreonmetrics "xeiaso.net/site/patreon/metrics"
	"xeiaso.net/site/syndicate/metrics"
	wgmetrics "xeiaso.net/site/wg/metrics"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/hook"
	"xeiaso.net/site/xesite/links"
	"xeiaso.net/site/xesite/markdown"
	"xeiaso.net/site/xesite/state"
)

// run is the program: it returns when ctx ends, after everything has stopped
// in good order, or at once when something is wrong with the configuration.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "token-server":
			return runTokenServer(ctx, args[1:], getenv, stdout, stderr)
		case "patreon":
			return runPatreon(ctx, args[1:], getenv, os.Stdin, stdout, stderr)
		case "onion":
			return runOnion(args[1:], getenv, os.Stdin, stdout, stderr)
		case "wg":
			return runWG(args[1:], os.Stdin, stdout, stderr)
		}
	}
	c, err := parse(args, getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	h := &host{config: c, getenv: getenv, stdout: stdout, off: map[string]any{}}
	h.log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.logLevel}))
	return h.run(ctx)
}

// host is the running program.
type host struct {
	*config
	getenv func(string) string
	stdout io.Writer
	log    *slog.Logger

	site          *xesite.Site
	syndicator    *syndication    // nil: nothing is announced
	supporters    *supporters     // nil: there is no Patreon
	onion         *onionSite      // nil: no onion service runs here
	private       *privateNetwork // nil: there is none
	public, admin net.Listener
	onionListener net.Listener   // nil: there is none
	off           map[string]any // optional parts that are set wrongly, and why
}

func (h *host) run(ctx context.Context) error {
	// Before anything else: a program that does not listen for it dies of it.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	if err := h.listen(); err != nil {
		return err
	}
	defer h.public.Close()
	defer h.admin.Close()
	if err := h.listenOnion(); err != nil {
		return err
	}
	if h.onionListener != nil {
		defer h.onionListener.Close()
	}
	cfg, err := h.siteConfig(ctx)
	if err != nil {
		return err
	}
	if p := h.private; p != nil {
		defer p.close()
	}
	if h.site, err = xesite.New(ctx, cfg); err != nil {
		return err
	}
	hooks, err := h.hooks(cfg)
	if err != nil {
		return err
	}
	h.banner(cfg)
	return h.serve(ctx, hooks, hup)
}

// siteConfig puts the flags into the form that package xesite wants.
func (h *host) siteConfig(ctx context.Context) (xesite.Config, error) {
	dataDir, err := filepath.Abs(h.dataDir)
	if err != nil {
		return xesite.Config{}, fmt.Errorf("-data-dir %q: %w", h.dataDir, err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return xesite.Config{}, fmt.Errorf("-data-dir %q: %w", h.dataDir, err)
	}
	if h.devel { // it is in somebody's work tree, by default
		if err := os.WriteFile(filepath.Join(dataDir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
			return xesite.Config{}, fmt.Errorf("-data-dir %q: %w", h.dataDir, err)
		}
	}
	if h.repo == "" && !h.devel && !h.siteURLSet {
		// The demo's links must work wherever it listens.
		h.siteURL, h.siteURLSet = listenURL(h.public), true
	}
	notify := &notifier{command: h.notifyCommand, env: []string{"PATH=" + h.getenv("PATH"), "HOME=" + h.getenv("HOME")}, log: h.log}
	cfg := xesite.Config{
		DataDir:      dataDir,
		BuildDir:     h.buildDir,
		OutputDir:    h.outputDir,
		BuildTimeout: offIfZero(h.buildTimeout),
		CachePaths:   h.cachePaths,
		SiteURL:      h.siteURL,
		Poll:         offIfZero(h.poll),
		RebuildEvery: h.rebuildEvery,
		Keep:         h.keep,
		AssetGrace:   offIfZero(h.assetGrace),
		LiveReload:   h.devel,
		OnBuild:      notify.built,
		Logger:       h.log,
	}
	cfg.Builder, cfg.BuildKey = h.builder()
	if cfg.Source, err = h.source(ctx, dataDir); err != nil {
		return xesite.Config{}, err
	}
	if h.devel {
		cfg.Poll = -1 // changes are watched
	}
	cfg.Previews = h.previews(cfg)
	store, err := state.OpenDir(filepath.Join(dataDir, "state"))
	if err != nil {
		return xesite.Config{}, fmt.Errorf("-data-dir %q: %w", h.dataDir, err)
	}
	cfg.State = store
	h.startSyndication(store)
	if s := h.syndicator; s != nil {
		cfg.OnPublish = s.published
		if h.config.syndication.linksFile != "" {
			cfg.DataFiles = append(cfg.DataFiles, xesite.DataFile{Path: h.config.syndication.linksFile, Fetch: s.fetchLinks})
		}
	}
	h.startPrivateNetwork()
	h.startPatreon(store, dataDir)
	if s := h.supporters; s != nil && s.wanted {
		cfg.DataFiles = append(cfg.DataFiles, s.dataFile(h.patreon.dataFile))
	}
	h.startOnion(dataDir)
	cfg.Lead = h.lead
	if h.checkLinks {
		cfg.Gates.Func = func(ctx context.Context, c xesite.Candidate) error { return links.Check(ctx, c.SiteURL, c.Next) }
	}
	return cfg, nil
}

// lead is what only the instance does that builds.
func (h *host) lead(ctx context.Context, served *xesite.Published) {
	var all sync.WaitGroup
	if s := h.syndicator; s != nil {
		all.Go(func() { s.lead(ctx, served) })
	}
	if s := h.supporters; s != nil {
		all.Go(func() { s.lead(ctx) })
	}
	if o := h.onion; o != nil {
		all.Go(func() { o.lead(ctx) })
	}
	all.Wait()
}

// previews are those of other branches, if there shall be any. They are no
// reason for the site not to run.
func (h *host) previews(cfg xesite.Config) *xesite.Previews {
	if len(h.previewBranches) == 0 {
		return nil
	}
	p := &xesite.Previews{Branches: h.previewBranches, Domain: h.previewDomain, Token: h.previewToken, Expiry: offIfZero(h.previewExpiry)}
	if err := p.Check(cfg.Source, cfg.SiteURL); err != nil {
		h.off["previews"] = err.Error()
		h.log.Error("there are no previews: see the flags -preview-branches and -preview-domain", "err", err)
		return nil
	}
	if h.previewToken == "" {
		h.log.Warn("previews have no token: everybody can see them who knows their address")
	}
	return p
}

// offIfZero translates the flags' zero for "off".
func offIfZero[T ~int64 | ~int](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// source is the repository, the current directory, or the demo.
func (h *host) source(ctx context.Context, dataDir string) (xesite.Source, error) {
	if h.devel {
		return &xesite.Dir{Path: ".", Ignore: []string{dataDir, h.outputDir}, Logger: h.log}, nil
	}
	g := &xesite.Git{
		Remote: h.repo, Branch: h.branch, Dir: filepath.Join(dataDir, "git"),
		Token: h.gitToken, SSHKeyFile: h.sshKeyFile, KnownHostsFile: h.knownHostsFile,
		Depth: offIfZero(h.gitDepth),
	}
	if h.repo == "" {
		g.Remote, g.Branch, g.WatchLocal = h.demoDir(dataDir), "", true
		if err := makeDemo(ctx, g.Remote); err != nil {
			return nil, err
		}
	}
	if err := g.Check(); err != nil {
		return nil, fmt.Errorf("-git-repo: %w", err)
	}
	return g, nil
}

func (h *host) demoDir(dataDir string) string { return filepath.Join(dataDir, "demo") }

// builder is the generator and what its results depend on beside its input.
func (h *host) builder() (xesite.Builder, string) {
	if h.build == "" {
		return xesite.BuilderFunc(h.builtIn), "markdown " + version()
	}
	env := h.environment(h.getenv)
	return xesite.Command{Line: h.build, Env: env}, h.build + "\n" + strings.Join(env, "\n")
}

// builtIn runs the generator for sites that bring none.
func (h *host) builtIn(ctx context.Context, in xesite.BuildInput) error {
	g := &markdown.Generator{Warnf: func(format string, args ...any) {
		fmt.Fprintf(in.Log, format+"\n", args...)
	}}
	if h.siteURLSet || in.Preview { // otherwise the site's own settings may say it
		g.BaseURL = in.SiteURL
	}
	return g.Build(ctx, in.Dir, in.Output)
}

// version names the program's build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var v strings.Builder
	v.WriteString(info.Main.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.WriteString(" " + s.Value)
		}
	}
	return v.String()
}

// listen opens both listeners before anything is promised.
func (h *host) listen() (err error) {
	if h.public, err = listen("bind", h.bind); err != nil {
		return err
	}
	if h.admin, err = listen("internal-api-bind", h.adminBind); err != nil {
		h.public.Close()
	}
	return err
}

func listen(flag, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = errors.New("something listens there already: stop it, or choose another address")
	}
	if err != nil {
		return nil, fmt.Errorf("-%s %q: %w", flag, addr, err)
	}
	return ln, nil
}

// hooks are the webhooks that have a secret.
func (h *host) hooks(cfg xesite.Config) (map[string]http.Handler, error) {
	branch := h.branch
	if cfg.Previews != nil {
		branch = "" // the site knows which others are built
	}
	large := make(chan struct{}, 4) // bodies in memory, over all forges
	hooks := map[string]http.Handler{}
	for forge, secrets := range h.hookSecrets {
		handler, err := hook.New(hook.Config{
			Forge: hook.Forge(forge), Secrets: secrets, Branch: branch, LargeBodies: large, Logger: h.log,
			Receive: func(ctx context.Context, p hook.Push) (string, error) {
				ticket, err := h.site.Trigger(ctx, xesite.Trigger{Source: forge, Branch: p.Branch, Hint: p.After})
				if errors.Is(err, xesite.ErrNotBuilt) {
					return "", &hook.Ignored{Reason: fmt.Sprintf("branch %q is not built", p.Branch)}
				}
				if err != nil {
					return "", err
				}
				return ticket.ID, nil
			},
		})
		if err != nil {
			return nil, fmt.Errorf("-%s-secret: %w", forge, err)
		}
		hooks[forge] = handler
	}
	if handler := h.supporters.handler(); handler != nil {
		hooks["patreon"] = handler
	}
	return hooks, nil
}

// banner tells a person where things are.
func (h *host) banner(cfg xesite.Config) {
	fmt.Fprintf(h.stdout, "Site:   %s\nAdmin:  %s\n", listenURL(h.public), listenURL(h.admin))
	if h.onion != nil {
		fmt.Fprintf(h.stdout, "Onion:  %s\n", h.onion.address.URL())
	}
	switch {
	case h.devel:
		dir, _ := filepath.Abs(".")
		fmt.Fprintf(h.stdout, "Source: %s\nEvery change there is built at once, and open pages reload.\n", dir)
	case h.repo == "":
		fmt.Fprintf(h.stdout, "Source: %s\nThis is a git repository. Add a file to posts/, or change one, and commit:\nit is live a moment later.\n", h.demoDir(cfg.DataDir))
	}
}

// listenURL is where a browser on this machine finds a listener.
func listenURL(ln net.Listener) string {
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/"}).String()
}

// serve runs everything until ctx ends or a part fails.
func (h *host) serve(ctx context.Context, hooks map[string]http.Handler, hup <-chan os.Signal) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all sync.WaitGroup
	var failed error
	var once sync.Once
	start := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				once.Do(func() { failed = err; fail(err) })
			}
		})
	}
	server := xesite.Server{Logger: h.log}
	start(func() error { return h.site.Run(ctx) })
	start(func() error { return server.Serve(ctx, h.public, h.publicHandler(hooks)) })
	metrics := h.metrics()
	start(func() error {
		return server.Serve(ctx, h.admin, h.adminHandler(metrics, xesite.IsLoopback(h.admin.Addr())))
	})
	if h.onionListener != nil {
		start(func() error { return h.serveOnionBind(ctx) })
	}
	start(func() error { h.rebuildOnSignal(ctx, hup); return nil })
	if h.supporters != nil {
		start(func() error { return h.supporters.run(ctx) })
	}
	if h.private != nil {
		start(func() error { return h.private.run(ctx, h.adminHandler(metrics, false)) })
	}
	all.Wait()
	h.log.Info("stopped")
	return failed
}

// publicHandler is what visitors see.
func (h *host) publicHandler(hooks map[string]http.Handler) http.Handler {
	canonical := xesite.CanonicalHost{Host: h.redirectDomain, Others: []string{h.onionDomain}}
	if u, err := url.Parse(h.siteURL); err == nil && u.Host == h.redirectDomain {
		canonical.Scheme = u.Scheme
	}
	listener := xesite.Listener{Name: "clearnet", Hooks: hooks, Previews: true}
	if h.redirectDomain != "" {
		listener.Middleware = append(listener.Middleware, canonical.Middleware)
	}
	if location := h.location(); location != nil {
		listener.Middleware = append(listener.Middleware, location)
	}
	if h.logLevel <= slog.LevelDebug {
		listener.AccessLog = h.log
	}
	return h.site.Handler(listener)
}

// metrics are what Prometheus sees.
func (h *host) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	if h.syndicator != nil {
		registry.MustRegister(metrics.Collector(h.syndicator.Status))
	}
	if h.supporters != nil {
		registry.MustRegister(patreonmetrics.Collector(h.supporters.metrics()))
	}
	if h.onion != nil {
		registry.MustRegister(onionmetrics.Collector(h.onion.metrics()))
	}
	if h.private != nil {
		registry.MustRegister(wgmetrics.Collector(h.private.tunnelStatus))
	}
	registry.MustRegister(h.site.Collector(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// adminHandler is what operators and their probes see on a listener.
func (h *host) adminHandler(metrics http.Handler, loopback bool) http.Handler {
	return h.site.AdminHandler(xesite.Admin{
		Token:    h.adminToken,
		Loopback: loopback,
		Metrics:  metrics,
		Status:   h.status,
		Notes:    h.notes,
		More:     h.adminHandlers(),
	})
}

// adminHandlers are the pages and commands of the optional parts.
func (h *host) adminHandlers() map[string]http.Handler {
	all := map[string]http.Handler{}
	if h.syndicator != nil {
		maps.Copy(all, h.syndicator.handlers(h.site))
	}
	if h.supporters != nil {
		maps.Copy(all, h.supporters.handlers())
	}
	if h.onion != nil {
		maps.Copy(all, h.onion.handlers())
	}
	if h.private != nil {
		maps.Copy(all, h.private.handlers())
	}
	return all
}

// notes are what the start page says of the optional parts.
func (h *host) notes() (notes []string) {
	for _, part := range slices.Sorted(maps.Keys(h.off)) {
		notes = append(notes, fmt.Sprintf("%s is off: %v", part, h.off[part]))
	}
	if h.private != nil {
		notes = append(notes, h.private.note())
	}
	return notes
}

// status is what the optional parts have to say.
func (h *host) status() map[string]any {
	status := maps.Clone(h.off)
	if h.syndicator != nil {
		status["syndication"] = h.syndicator.status()
	}
	if h.supporters != nil {
		status["patreon"] = h.supporters.status()
	}
	if h.onion != nil {
		status["onion"] = h.onion.status()
	}
	if h.private != nil {
		status["wg"] = h.private.status()
	}
	return status
}

// rebuildOnSignal builds again at each SIGHUP, and reads the file of the tunnel.
func (h *host) rebuildOnSignal(ctx context.Context, hup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			if h.private != nil {
				h.private.reload()
			}
			if _, err := h.site.Trigger(ctx, xesite.Trigger{Source: xesite.SourceSignal, Rebuild: true}); err != nil {
				h.log.Error("rebuild on SIGHUP", "err", err)
			}
		}
	}
}
