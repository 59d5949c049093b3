// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webhook_test

import (
	"fmt"

	"xeiaso.net/site/syndicate/webhook"
)

func ExampleNew() {
	_, err := webhook.New(webhook.Config{URL: "https://bot.example/new-post", Key: "whsec_bm90IGEgZ29vZCBrZXk="})
	fmt.Println(err)
	// Output: <nil>
}
