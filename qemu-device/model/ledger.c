// SPDX-License-Identifier: MIT
/*
 * The ledger: who has written how many cells, and may write how many. What a command may write at worst is reserved
 * on the medium before the first pulse and settled afterwards, so that a cut can charge too much but never too little.
 */
#include <errno.h>
#include <stdio.h>

#include "device.h"

/* A record has one state. */
#define LEDGER_ACCOUNT 1

static uint64_t entry_offset(const struct xbar *xbar, const struct account *account)
{
	return xbar->layout.ledger + (uint64_t)(account - xbar->accounts) * IMAGE_ACCOUNT_STRIDE;
}

static void write_entry(struct xbar *xbar, struct account *account)
{
	xbar_nv_record_write(&xbar->nv, entry_offset(xbar, account), LEDGER_ACCOUNT,
			     &account->entry, sizeof(account->entry), true);
}

/* Reads and checks; changes nothing in the memory. */
int xbar_ledger_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES])
{
	for (uint32_t i = 0; i < xbar->params.accounts; i++) {
		struct account *account = &xbar->accounts[i];
		int state = xbar_nv_record_read(xbar->nv.memory, entry_offset(xbar, account),
						&account->entry, sizeof(account->entry));

		if (state != 0 && state != LEDGER_ACCOUNT) {
			if (message)
				snprintf(message, XBAR_MESSAGE_BYTES,
					 "ledger entry %u: wrong checksum", i);
			return -EILSEQ;
		}
		account->used = state == LEDGER_ACCOUNT;
	}
	return 0;
}

/* What was reserved when power went may have been written. */
void xbar_ledger_recover(struct xbar *xbar)
{
	for (uint32_t i = 0; i < xbar->params.accounts; i++) {
		struct account *account = &xbar->accounts[i];

		if (account->used && account->entry.reserved_cells)
			xbar_ledger_settle(xbar, account, account->entry.reserved_cells);
	}
}

struct account *xbar_ledger_find(struct xbar *xbar, uint32_t number)
{
	for (uint32_t i = 0; i < xbar->params.accounts; i++)
		if (xbar->accounts[i].used && xbar->accounts[i].entry.account == number)
			return &xbar->accounts[i];
	return NULL;
}

/* Finds or makes the account; NULL when the ledger is full. */
struct account *xbar_ledger_open(struct xbar *xbar, uint32_t number)
{
	struct account *account = xbar_ledger_find(xbar, number);

	if (account)
		return account;
	for (uint32_t i = 0; i < xbar->params.accounts; i++) {
		account = &xbar->accounts[i];
		if (account->used)
			continue;
		*account = (struct account){
			.used = true,
			.entry = { .account = number, .quota_cells = xbar->params.default_quota },
		};
		write_entry(xbar, account);
		return account;
	}
	return NULL;
}

/* Tiles held are counted from the directory, not stored. */
void xbar_ledger_hold_tiles(struct xbar *xbar, uint32_t number, uint32_t tiles)
{
	struct account *account = xbar_ledger_find(xbar, number);

	if (account)
		account->tiles += tiles;
}

/* Cells that the account may still write. */
uint64_t xbar_ledger_left(struct xbar *xbar, uint32_t number)
{
	const struct account *account = xbar_ledger_find(xbar, number);
	uint64_t quota = account ? account->entry.quota_cells : xbar->params.default_quota;
	uint64_t written = account ? account->entry.written_cells : 0;

	if (quota == XBAR_UNLIMITED)
		return XBAR_UNLIMITED;
	return quota > written ? quota - written : 0;
}

void xbar_ledger_reserve(struct xbar *xbar, struct account *account, uint64_t cells)
{
	account->entry.reserved_cells = cells;
	write_entry(xbar, account);
}

/* @cells of what was reserved have been written. */
void xbar_ledger_settle(struct xbar *xbar, struct account *account, uint64_t cells)
{
	account->entry.reserved_cells = 0;
	account->entry.written_cells += cells;
	write_entry(xbar, account);
}

void xbar_ledger_set_quota(struct xbar *xbar, struct account *account, uint64_t cells)
{
	account->entry.quota_cells = cells;
	write_entry(xbar, account);
}

void xbar_ledger_describe(struct xbar *xbar, uint32_t number, struct lf_account *description)
{
	const struct account *account = xbar_ledger_find(xbar, number);

	*description = (struct lf_account){
		.account = number,
		.quota_cells = account ? account->entry.quota_cells : xbar->params.default_quota,
		.written_cells = account ? account->entry.written_cells : 0,
		.tiles = account ? account->tiles : 0,
	};
}
