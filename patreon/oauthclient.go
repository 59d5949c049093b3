// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

// OAuthClient is a client as Patreon has registered it.
type OAuthClient struct {
	// ID is the id.
	ID ClientID `json:"id"`

	AuthorName Opt[string] `json:"author_name,omitzero"`
	Category   Opt[string] `json:"category,omitzero"`
	// ClientSecret is "" if it is not known, and left out of JSON. It is not among
	// the fields
	// that are asked for by themselves.
	ClientSecret     Secret      `json:"-"`
	DefaultScopes    Opt[string] `json:"default_scopes,omitzero"`
	Description      Opt[string] `json:"description,omitzero"`
	Domain           Opt[string] `json:"domain,omitzero"`
	IconURL          Opt[string] `json:"icon_url,omitzero"`
	Name             Opt[string] `json:"name,omitzero"`
	PrivacyPolicyURL Opt[string] `json:"privacy_policy_url,omitzero"`
	RedirectURIs     Opt[string] `json:"redirect_uris,omitzero"`
	TOSURL           Opt[string] `json:"tos_url,omitzero"`
	// Version is that of the API.
	Version Opt[int64] `json:"version,omitzero"`

	Extras
}

func (c *OAuthClient) name() Type { return TypeClient }

func (c *OAuthClient) setID(id string) { c.ID = ClientID(id) }

func (c *OAuthClient) extras() *Extras { return &c.Extras }

func (c *OAuthClient) attribute(name []byte) attribute {
	switch string(name) {
	case "author_name":
		return &c.AuthorName
	case "category":
		return &c.Category
	case "client_secret":
		return (*secretAttribute)(&c.ClientSecret)
	case "default_scopes":
		return &c.DefaultScopes
	case "description":
		return &c.Description
	case "domain":
		return &c.Domain
	case "icon_url":
		return &c.IconURL
	case "name":
		return &c.Name
	case "privacy_policy_url":
		return &c.PrivacyPolicyURL
	case "redirect_uris":
		return &c.RedirectURIs
	case "tos_url":
		return &c.TOSURL
	case "version":
		return &c.Version
	}
	return nil
}

func (*OAuthClient) relation([]byte) relation { return nil }

// OAuthClientFields returns the names of all attributes of an [OAuthClient] but its
// secret.
func OAuthClientFields() []string {
	return []string{
		"author_name", "category", "default_scopes", "description", "domain", "icon_url", "name",
		"privacy_policy_url", "redirect_uris", "tos_url", "version",
	}
}
