// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package irc announces posts in a channel on IRC.
//
// # Overview
//
//	target, err := irc.New(irc.Config{
//		Server: "irc.libera.chat:6697",
//		Nick:   "myblog",
//		Channel: "#myblog",
//		Account: "myblog", Password: password,
//	})
//
// An announcement is one line. It is made short enough for the server not to cut
// it, and has no formatting, no CTCP and no second command in it, whatever the
// title of the post.
//
// # Delivery
//
// That a line was written to a connection says nothing, so an announcement
// counts as made when the server says so: by the echo of the message with our
// label and its id (IRCv3 echo-message, labeled-response and message-ids), by the
// echo alone where there are no labels, and elsewhere by the answer to a PING
// that follows the message, which servers handle in order. If the channel does
// not take it, the server says that before.
//
// If the connection ends in between nobody knows, and there is no way to ask. So
// the post is parked: an announcement is made once or not at all, and never
// twice. What goes wrong before the message is sent, from the name of the server
// to the channel's key, is tried again.
//
// # Connection
//
// The target connects when there is something to say, and stays for
// [Config.Linger] in case that there is more, or for as long as the program runs
// if [Config.Stay] is set. Messages have a pause between them, since servers hold
// back who writes faster than people do.
//
// # Security
//
// Connections are TLS with a certificate that is checked, unless
// [Config.Insecure] is set. The password is sent by SASL, or to NickServ where
// [Config.NickServ] allows that.
package irc
