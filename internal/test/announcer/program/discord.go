// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discord"
)

// discordConfig says where a channel is, and who posts there.
type discordConfig struct {
	API, Webhook, Bot, Channel string
	Settle                     time.Duration
}

// discordNetwork is a channel of Discord, for a webhook or a bot.
func discordNetwork() network {
	return network{
		target: func(config json.RawMessage, _ syndicate.Store) (syndicate.Target, error) {
			var c discordConfig
			if err := json.Unmarshal(config, &c); err != nil {
				return nil, err
			}
			return discord.New(discord.Config{
				API: c.API, Webhook: syndicate.Secret(c.Webhook), Bot: syndicate.Secret(c.Bot), Channel: c.Channel, Settle: c.Settle,
			})
		},
		naive: func(ctx context.Context, config json.RawMessage, p syndicate.Post) error {
			var c discordConfig
			if err := json.Unmarshal(config, &c); err != nil {
				return err
			}
			body := map[string]any{"content": p.Title + "\n" + p.URL}
			if c.Bot != "" {
				return post(ctx, c.API+"/channels/"+c.Channel+"/messages", "Bot "+c.Bot, body)
			}
			return post(ctx, c.API+strings.TrimPrefix(c.Webhook, "https://discord.com/api"), "", body)
		},
	}
}
