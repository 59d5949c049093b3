// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package xesite hosts a web site from a git repository: it fetches the
// repository, runs the site generator, publishes the result atomically and
// serves it.
//
// # Overview
//
//	site, err := xesite.New(ctx, xesite.Config{
//		DataDir: "/var/lib/site",
//		Source:  &xesite.Git{Remote: "https://git.example/me/site"},
//		Builder: xesite.Command{Line: "hugo --minify"},
//		OutputDir: "public",
//		SiteURL:   "https://me.example/",
//	})
//	if err != nil {
//		return err
//	}
//	go site.Run(ctx)
//	return http.ListenAndServe(":3000", site.Handler(xesite.Listener{}))
//
// [New] loads the last good release and serves it before anything else; it
// uses no network. [Site.Run] does the rest. A [Site] is an [http.Handler], so
// middleware goes around it as usual.
//
// # From a push to a page
//
// A [Trigger] comes from a webhook (package hook), polling, a change on disk,
// or a call. The first one starts a build at once; however many come while it
// runs make one more, for the newest commit. A build fetches the branch,
// checks the commit out into a fresh directory, writes the [DataFile]s, runs
// the [Builder], makes a release of its output (package release), checks it,
// and moves a pointer. If the result is what is served already, nothing is
// published. [Config.OnPublish] is told which paths were added, changed and
// removed.
//
// A site that was built elsewhere is published by [Site.Upload], without a
// generator and otherwise in the same way; [release.Release.WriteZip] is how it
// gets out again.
//
// # Failure
//
// The last good release is served, whatever breaks: the remote, the generator,
// a data file's service, the disk. A build that fails leaves its record and
// log, see [Site.Builds]; it changes nothing else. A generator that hangs is
// stopped, and everything that it started is killed with it. A kill of this
// process at any moment loses at most the build that ran.
//
// What a person chose stays chosen: after [Site.Rollback] a commit that was
// built before is not published again, and [Site.Pin] holds everything until
// [Site.Unpin]. [Gates] refuse what is more likely an accident than a site.
//
// # Between two releases
//
// A page that was opened before a publication asks for its style sheet after
// it. Files of earlier releases that have a fingerprint in their name, and are
// not HTML, stay reachable for [Config.AssetGrace]. [Site.Purge] ends that for
// what must be gone.
//
// # Previews
//
// With [Previews], other branches are built too, when they are pushed, each at
// an address of its own: below a domain, such as my-draft.preview.example.com,
// or below a path of the site. They can ask for a token, keep search engines
// out, reload when they are pushed again, and vanish with their branch or some
// time after its last push. A preview never delays the site: one build runs at
// a time, the site's goes first, and cancels that of a preview. Pull requests
// from forks are not built, since whoever writes them would run programs here.
//
// # Data directory
//
//	blobs/ releases/ channels/   releases, see package release; Config.Keep bounds them
//	git/                         mirrors of the repository and its submodules
//	build/                       scratch of the build that runs, and of uploads
//	cache/                       caches of generators, kept directories, data files
//	builds/                      records and logs of the last 100 builds, 4 MiB each at most
//	state/ lock                  what instances agree on
//
// All but cache/ is bounded by what the site is; what a generator caches is
// its own affair. Nothing in build/ and cache/ is needed to serve: both can be
// emptied while no build runs. Removing git/ costs one fetch.
//
// # Several instances
//
// Instances that share a data directory agree on one that builds. The others
// serve what it publishes within two seconds, hand it their triggers, and take
// over when it ends: at once on one machine, after ten seconds on others.
//
// # Security
//
// Git runs without hooks, prompts or the machine's configuration, over https,
// http and ssh only, a local path if the operator names one. Credentials are
// never on a command line or in a repository. The generator is the
// repository's own program and is trusted with its output and no more: it
// does not see the host's environment, and links out of its output are
// refused. It is not confined otherwise; who may push may run programs.
//
// This package reads no environment variable for its own configuration. What
// programs need to run at all is passed on to them: PATH, and to git also the
// variables for proxies, certificates and the ssh agent.
//
// # What it does not do
//
// TLS, rate limits and virtual hosts belong to a proxy or to middleware.
package xesite
