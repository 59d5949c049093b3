// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/xesite"
)

// config is what the flags say.
type config struct {
	bind, adminBind, dataDir         string
	adminToken                       xesite.Secret
	repo, branch                     string
	gitToken                         xesite.Secret
	sshKeyFile, knownHostsFile       string
	gitDepth                         int
	build, buildDir, outputDir       string
	buildTimeout, poll, rebuildEvery time.Duration
	buildEnv, cachePaths             []string
	keep                             int
	siteURL                          string
	devel, checkLinks                bool
	assetGrace                       time.Duration
	previewBranches                  []string
	previewDomain                    string
	previewToken                     xesite.Secret
	previewExpiry                    time.Duration
	hookSecrets                      map[string][]xesite.Secret // by forge
	redirectDomain, onionDomain      string
	notifyCommand                    string
	logLevel                         slog.Level
	siteURLSet                       bool
	syndication                      syndicationFlags
	patreon                          patreonFlags
	onionBind                        string
	onion                            onionFlags
	wg                               wgFlags
}

// forges have a hook each, mounted if it has a secret.
var forges = []string{"github", "gitlab", "forgejo", "bitbucket"}

// flags declares every flag on a new set that fills c.
func (c *config) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("example", flag.ContinueOnError)
	// A mistake is answered with one line, not with two screens of flags.
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.bind, "bind", ":3000", "`address` of the public listener")
	fs.StringVar(&c.adminBind, "internal-api-bind", "127.0.0.1:3001", "`address` of the admin listener: probes, metrics, API")
	secretVar(fs, "admin-token", "bearer token for the admin listener", oneSecret(&c.adminToken))
	fs.StringVar(&c.dataDir, "data-dir", "./var", "`directory` for everything that must survive a restart")
	fs.StringVar(&c.repo, "git-repo", "", "`URL` or absolute path of the site's repository (default: a demo site)")
	fs.StringVar(&c.branch, "git-branch", "", "`branch` to follow (default: the remote's own)")
	secretVar(fs, "git-token", "token for a private repository over https", oneSecret(&c.gitToken))
	fs.StringVar(&c.sshKeyFile, "git-ssh-key-file", "", "private key `file` for a repository over ssh")
	fs.StringVar(&c.knownHostsFile, "git-known-hosts-file", "", "`file` of host keys to trust (default: trust a host's first key)")
	intVar(fs, &c.gitDepth, "git-depth", 1, "`commits` to fetch; 0 is the whole history")
	fs.StringVar(&c.build, "build", "", "generator `command`, run by sh -c in the checkout (default: the built-in generator)")
	fs.StringVar(&c.buildDir, "build-dir", ".", "`directory` of the checkout to build in")
	fs.StringVar(&c.outputDir, "output-dir", "_site", "`directory` of the checkout that the command writes to")
	durationVar(fs, &c.buildTimeout, "build-timeout", 10*time.Minute, "longest `time` of a build; 0 is no limit")
	durationVar(fs, &c.poll, "poll", 5*time.Minute, "`time` between looks at the repository; 0 is never")
	durationVar(fs, &c.rebuildEvery, "rebuild-every", 0, "`time` between builds without news, for scheduled posts; 0 is never")
	listVar(fs, &c.buildEnv, "build-env", "comma-separated `names` of variables that the command may see")
	listVar(fs, &c.cachePaths, "cache-paths", "comma-separated `directories` of the build directory to keep between builds")
	intVar(fs, &c.keep, "keep", 10, "`number` of releases to keep")
	durationVar(fs, &c.assetGrace, "asset-grace", 24*time.Hour, "`time` for which fingerprinted files of earlier releases stay; 0 is none")
	fs.BoolVar(&c.checkLinks, "check-links", false, "refuse a release in which links between pages lead nowhere")
	fs.StringVar(&c.siteURL, "site-url", "http://localhost:3000/", "canonical `URL` of the site")
	fs.BoolVar(&c.devel, "devel", false, "build the current directory, again at each change, and reload open pages")
	c.hookSecrets = map[string][]xesite.Secret{}
	for _, forge := range forges {
		secretVar(fs, forge+"-secret", "what the "+forge+" webhook is signed with", func(secrets []xesite.Secret) {
			c.hookSecrets[forge] = append(c.hookSecrets[forge], secrets...)
		})
	}
	listVar(fs, &c.previewBranches, "preview-branches", "comma-separated `patterns` of branches that get a preview when they are pushed, * for all (default: none)")
	fs.StringVar(&c.previewDomain, "preview-domain", "", "`host` below which each preview has its own, or a path such as /preview (default: preview. and the site's host)")
	secretVar(fs, "preview-token", "what visitors of previews are asked for", oneSecret(&c.previewToken))
	durationVar(fs, &c.previewExpiry, "preview-expiry", 14*24*time.Hour, "`time` after the last push until a preview is removed; 0 is with its branch")
	fs.StringVar(&c.redirectDomain, "redirect-domain", "", "canonical `host`; visitors of others are sent there")
	fs.StringVar(&c.onionDomain, "onion-domain", "", "`host` of an onion service of the site that something else runs; it is never redirected")
	fs.StringVar(&c.onionBind, "onion-bind", "", "`address`, or unix:/path, where that service brings its visitors (default: none)")
	c.syndication.flags(fs)
	c.patreon.flags(fs)
	c.onion.flags(fs)
	c.wg.flags(fs)
	fs.StringVar(&c.notifyCommand, "notify-command", "", "`command` to run when a build fails or recovers, with its record on stdin")
	fs.Var(value[slog.Level]{&c.logLevel, parseLevel, "debug, info, warn or error"}, "log-level", "least `level` to log: debug, info, warn, error")
	return fs
}

// value is a flag whose errors say what is wanted.
type value[T any] struct {
	dst   *T
	parse func(string) (T, error)
	want  string
}

func (v value[T]) String() string {
	if v.dst == nil { // the flag package asks a zero value
		return ""
	}
	return fmt.Sprint(*v.dst)
}

func (v value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err != nil {
		return errors.New("want " + v.want)
	}
	*v.dst = parsed
	return nil
}

func durationVar(fs *flag.FlagSet, dst *time.Duration, name string, value0 time.Duration, usage string) {
	*dst = value0
	fs.Var(value[time.Duration]{dst, time.ParseDuration, "a duration such as 90s, 10m or 2h"}, name, usage)
}

func intVar(fs *flag.FlagSet, dst *int, name string, value0 int, usage string) {
	*dst = value0
	fs.Var(value[int]{dst, strconv.Atoi, "a whole number"}, name, usage)
}

func parseLevel(s string) (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(s))
	return level, err
}

// usage prints what there is to set.
func usage(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, "Usage: example [flags]\n       example token-server [flags]\n       example patreon seed|login|status|hash [flags]\n"+
		"       example onion address|export-key|import-key [flags]\n       example wg genkey|genpsk|pubkey|check FILE\n\n"+
		"Hosts a web site from a git repository; without -git-repo, a demo.\n"+
		"Each flag can be set by the environment variable of its name in upper case\nwith underscores; the flag wins.\n\n")
	fs.SetOutput(w)
	fs.PrintDefaults()
}

// secretVar declares a flag for a secret and another for a file with one or,
// to rotate it, several: a line each.
func secretVar(fs *flag.FlagSet, name, usage string, set func([]xesite.Secret)) {
	fs.Func(name, usage+", a `secret`", func(s string) error {
		if s = strings.TrimSpace(s); s != "" { // "$SECRET" of a variable that is not set
			set([]xesite.Secret{xesite.Secret(s)})
		}
		return nil
	})
	fs.Func(name+"-file", "the same from a `file`, a line each", func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var secrets []xesite.Secret
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); line != "" {
				secrets = append(secrets, xesite.Secret(line))
			}
		}
		if len(secrets) == 0 {
			return errors.New("the file is empty")
		}
		set(secrets)
		return nil
	})
}

func oneSecret(dst *xesite.Secret) func([]xesite.Secret) {
	return func(secrets []xesite.Secret) { *dst = secrets[0] }
}

// listVar declares a flag for a comma-separated list.
func listVar(fs *flag.FlagSet, dst *[]string, name, usage string) {
	fs.Func(name, usage, func(s string) error {
		*dst = slices.DeleteFunc(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }), func(s string) bool { return s == "" })
		return nil
	})
}

// variable returns the name of the environment variable for a flag.
func variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// parse reads the flags of the site, and checks them.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*config, error) {
	c := &config{}
	fs := c.flags()
	if err := parseFlags(fs, args, getenv); errors.Is(err, flag.ErrHelp) {
		usage(fs, stderr)
		return nil, err
	} else if err != nil {
		return nil, err
	}
	fs.Visit(func(f *flag.Flag) { c.siteURLSet = c.siteURLSet || f.Name == "site-url" })
	return c, c.check()
}

// parseFlags reads flags and, for those that are not given, the environment. An
// empty variable counts as unset.
func parseFlags(fs *flag.FlagSet, args []string, getenv func(string) string) error {
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (see -help)", err)
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: flags begin with -, see -help", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[strings.TrimSuffix(f.Name, "-file")] = true })
	var failed error
	fs.VisitAll(func(f *flag.Flag) {
		value := getenv(variable(f.Name))
		if value == "" || given[strings.TrimSuffix(f.Name, "-file")] || failed != nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			// A secret's value must not be repeated here; only its file can fail.
			failed = fmt.Errorf("environment variable %s: %q: %w", variable(f.Name), value, err)
		}
	})
	return failed
}

// check finds what is wrong with single values. Each error names the flag and
// the remedy.
func (c *config) check() error {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"build-timeout", c.buildTimeout}, {"poll", c.poll}, {"rebuild-every", c.rebuildEvery}, {"asset-grace", c.assetGrace}, {"preview-expiry", c.previewExpiry}, {"syndicate-max-age", c.syndication.maxAge}} {
		if d.value < 0 {
			return fmt.Errorf("-%s %s: must not be negative; 0 turns it off", d.flag, d.value)
		}
	}
	if c.gitDepth < 0 {
		return fmt.Errorf("-git-depth %d: must not be negative; 0 is the whole history", c.gitDepth)
	}
	if c.syndication.maxPerRun < 0 {
		return fmt.Errorf("-syndicate-max-per-run %d: must not be negative; 0 is no limit", c.syndication.maxPerRun)
	}
	if c.keep < 1 {
		return fmt.Errorf("-keep %d: at least 1 release must be kept", c.keep)
	}
	if c.devel && c.repo != "" {
		return errors.New("-devel builds the current directory: leave out -git-repo")
	}
	if u, err := url.Parse(c.siteURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("-site-url %q: want an http or https URL such as https://example.com/", c.siteURL)
	}
	return cmp.Or(c.checkPaths(), c.checkNames())
}

// checkPaths checks what lies in the repository, and the repository itself.
func (c *config) checkPaths() error {
	for _, d := range []struct {
		flag  string
		paths []string
	}{{"build-dir", []string{c.buildDir}}, {"output-dir", []string{c.outputDir}}, {"cache-paths", c.cachePaths}, {"syndicate-links-file", nonEmpty(c.syndication.linksFile)}} {
		for _, path := range d.paths {
			if !filepath.IsLocal(path) {
				return fmt.Errorf("-%s %q: want a path inside the repository, without .. and not absolute", d.flag, path)
			}
		}
	}
	if strings.HasPrefix(c.repo, ".") || strings.HasPrefix(c.repo, "~") {
		abs, _ := filepath.Abs(c.repo)
		return fmt.Errorf("-git-repo %q: want a URL or an absolute path, such as %s", c.repo, abs)
	}
	return nil
}

// nonEmpty is a list of what is set.
func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// checkNames checks the names of hosts and variables.
func (c *config) checkNames() error {
	for _, d := range []struct{ flag, value string }{{"redirect-domain", c.redirectDomain}, {"onion-domain", c.onionDomain}} {
		if strings.ContainsAny(d.value, "/ \t") {
			return fmt.Errorf("-%s %q: want a host name without scheme and path", d.flag, d.value)
		}
	}
	if c.onionBind != "" && c.onionDomain == "" {
		return fmt.Errorf("-onion-bind %q: for which onion service it is, is not said, see -onion-domain", c.onionBind)
	}
	for _, pair := range c.buildEnv {
		if name, _, ok := strings.Cut(pair, "="); ok {
			return fmt.Errorf("-build-env %q: want the name alone, and the value in the environment", name)
		}
	}
	return nil
}

// environment returns the variables that the generator may see.
func (c *config) environment(getenv func(string) string) (pairs []string) {
	for _, name := range c.buildEnv {
		if value := getenv(name); value != "" {
			pairs = append(pairs, name+"="+value)
		}
	}
	return pairs
}
