// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"time"
)

// Member is the membership of a user in a campaign. It stays the same one through
// changes of tier and pauses.
type Member struct {
	// ID is the id.
	ID MemberID `json:"id"`

	// CampaignLifetimeSupportCents is all that the member has paid, in cents of the
	// campaign's currency.
	CampaignLifetimeSupportCents Opt[int64] `json:"campaign_lifetime_support_cents,omitzero"`
	// CurrentlyEntitledAmountCents is what the member is entitled to, in cents.
	CurrentlyEntitledAmountCents Opt[int64] `json:"currently_entitled_amount_cents,omitzero"`
	// Email is personal: it needs the scope campaigns.members[email].
	Email    Opt[string] `json:"email,omitzero"`
	FullName Opt[string] `json:"full_name,omitzero"`
	// IsFollower is always false.
	//
	// Deprecated: use PatronStatus and CurrentlyEntitledTiers.
	IsFollower  Opt[bool] `json:"is_follower,omitzero"`
	IsFreeTrial Opt[bool] `json:"is_free_trial,omitzero"`
	IsGifted    Opt[bool] `json:"is_gifted,omitzero"`
	// LastChargeDate is null if there was no charge yet.
	LastChargeDate Opt[time.Time] `json:"last_charge_date,omitzero"`
	// LastChargeStatus is null if there was no charge yet.
	LastChargeStatus Opt[ChargeStatus] `json:"last_charge_status,omitzero"`
	// LifetimeSupportCents is the old name of a number.
	//
	// Deprecated: use CampaignLifetimeSupportCents.
	LifetimeSupportCents Opt[int64]     `json:"lifetime_support_cents,omitzero"`
	NextChargeDate       Opt[time.Time] `json:"next_charge_date,omitzero"`
	// Note is what the creator has noted, which is personal.
	Note Opt[string] `json:"note,omitzero"`
	// PatronStatus is null for those who never pledged.
	PatronStatus Opt[PatronStatus] `json:"patron_status,omitzero"`
	// PledgeCadence is how many months a charge is for.
	PledgeCadence           Opt[int64]     `json:"pledge_cadence,omitzero"`
	PledgeRelationshipStart Opt[time.Time] `json:"pledge_relationship_start,omitzero"`
	// WillPayAmountCents is the next charge, in cents.
	WillPayAmountCents Opt[int64] `json:"will_pay_amount_cents,omitzero"`

	// Address is personal: it needs the scope campaigns.members.address.
	Address  One[Address, AddressID]   `json:"address,omitzero"`
	Campaign One[Campaign, CampaignID] `json:"campaign,omitzero"`
	// CurrentlyEntitledTiers can be empty for days for a member who pays, while a
	// charge is under way.
	CurrentlyEntitledTiers Many[Tier, TierID] `json:"currently_entitled_tiers,omitzero"`
	// PledgeHistory halves the size of pages.
	PledgeHistory Many[PledgeEvent, PledgeEventID] `json:"pledge_history,omitzero"`
	User          One[User, UserID]                `json:"user,omitzero"`

	Extras
}

func (m *Member) name() Type { return TypeMember }

func (m *Member) setID(id string) { m.ID = MemberID(id) }

func (m *Member) extras() *Extras { return &m.Extras }

func (m *Member) attribute(name []byte) attribute {
	switch string(name) {
	case "campaign_lifetime_support_cents":
		return &m.CampaignLifetimeSupportCents
	case "currently_entitled_amount_cents":
		return &m.CurrentlyEntitledAmountCents
	case "email":
		return &m.Email
	case "full_name":
		return &m.FullName
	case "is_follower":
		return &m.IsFollower
	case "is_free_trial":
		return &m.IsFreeTrial
	case "is_gifted":
		return &m.IsGifted
	case "last_charge_date":
		return &m.LastChargeDate
	case "last_charge_status":
		return &m.LastChargeStatus
	case "lifetime_support_cents":
		return &m.LifetimeSupportCents
	case "next_charge_date":
		return &m.NextChargeDate
	case "note":
		return &m.Note
	case "patron_status":
		return &m.PatronStatus
	case "pledge_cadence":
		return &m.PledgeCadence
	case "pledge_relationship_start":
		return &m.PledgeRelationshipStart
	case "will_pay_amount_cents":
		return &m.WillPayAmountCents
	}
	return nil
}

func (m *Member) relation(name []byte) relation {
	switch string(name) {
	case "address":
		return &m.Address
	case "campaign":
		return &m.Campaign
	case "currently_entitled_tiers":
		return &m.CurrentlyEntitledTiers
	case "pledge_history":
		return &m.PledgeHistory
	case "user":
		return &m.User
	}
	return nil
}

// MemberFields returns the names of all attributes of a [Member] but the
// personal ones, which are email and note, and the deprecated ones.
func MemberFields() []string {
	return []string{
		"campaign_lifetime_support_cents", "currently_entitled_amount_cents", "full_name",
		"is_free_trial", "is_gifted", "last_charge_date", "last_charge_status", "next_charge_date",
		"patron_status", "pledge_cadence", "pledge_relationship_start", "will_pay_amount_cents",
	}
}

// AllMemberFields returns the names of all attributes of a [Member]. Some need
// scopes of their
// own, without which Patreon answers that the request is forbidden.
func AllMemberFields() []string {
	return append(MemberFields(), "email", "is_follower", "lifetime_support_cents", "note")
}

// PledgeEvent is a thing that happened to a pledge.
type PledgeEvent struct {
	// ID is the id.
	ID PledgeEventID `json:"id"`

	// AmountCents is in cents of CurrencyCode.
	AmountCents         Opt[int64]           `json:"amount_cents,omitzero"`
	CurrencyCode        Opt[string]          `json:"currency_code,omitzero"`
	Date                Opt[time.Time]       `json:"date,omitzero"`
	PledgePaymentStatus Opt[PledgeStatus]    `json:"pledge_payment_status,omitzero"`
	PaymentStatus       Opt[ChargeStatus]    `json:"payment_status,omitzero"`
	TierID              Opt[TierID]          `json:"tier_id,omitzero"`
	TierTitle           Opt[string]          `json:"tier_title,omitzero"`
	Type                Opt[PledgeEventType] `json:"type,omitzero"`

	Extras
}

func (e *PledgeEvent) name() Type { return TypePledgeEvent }

func (e *PledgeEvent) setID(id string) { e.ID = PledgeEventID(id) }

func (e *PledgeEvent) extras() *Extras { return &e.Extras }

func (e *PledgeEvent) attribute(name []byte) attribute {
	switch string(name) {
	case "amount_cents":
		return &e.AmountCents
	case "currency_code":
		return &e.CurrencyCode
	case "date":
		return &e.Date
	case "pledge_payment_status":
		return &e.PledgePaymentStatus
	case "payment_status":
		return &e.PaymentStatus
	case "tier_id":
		return &e.TierID
	case "tier_title":
		return &e.TierTitle
	case "type":
		return &e.Type
	}
	return nil
}

func (*PledgeEvent) relation([]byte) relation { return nil }

// PledgeEventFields returns the names of all attributes of a [PledgeEvent].
func PledgeEventFields() []string {
	return []string{
		"amount_cents", "currency_code", "date", "pledge_payment_status", "payment_status", "tier_id",
		"tier_title", "type",
	}
}

// Address is where a member gets parcels. All of it is personal.
type Address struct {
	// ID is the id.
	ID AddressID `json:"id"`

	Addressee   Opt[string]    `json:"addressee,omitzero"`
	City        Opt[string]    `json:"city,omitzero"`
	Country     Opt[string]    `json:"country,omitzero"`
	CreatedAt   Opt[time.Time] `json:"created_at,omitzero"`
	Line1       Opt[string]    `json:"line_1,omitzero"`
	Line2       Opt[string]    `json:"line_2,omitzero"`
	PhoneNumber Opt[string]    `json:"phone_number,omitzero"`
	PostalCode  Opt[string]    `json:"postal_code,omitzero"`
	State       Opt[string]    `json:"state,omitzero"`

	Extras
}

func (a *Address) name() Type { return TypeAddress }

func (a *Address) setID(id string) { a.ID = AddressID(id) }

func (a *Address) extras() *Extras { return &a.Extras }

func (a *Address) attribute(name []byte) attribute {
	switch string(name) {
	case "addressee":
		return &a.Addressee
	case "city":
		return &a.City
	case "country":
		return &a.Country
	case "created_at":
		return &a.CreatedAt
	case "line_1":
		return &a.Line1
	case "line_2":
		return &a.Line2
	case "phone_number":
		return &a.PhoneNumber
	case "postal_code":
		return &a.PostalCode
	case "state":
		return &a.State
	}
	return nil
}

func (*Address) relation([]byte) relation { return nil }

// AddressFields returns the names of all attributes of an [Address].
func AddressFields() []string {
	return []string{
		"addressee", "city", "country", "created_at", "line_1", "line_2", "phone_number", "postal_code",
		"state",
	}
}
