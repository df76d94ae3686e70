package engine

import (
	"context"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/schedules"
)

// keepLedgers is how long rows of ledgers are kept after they were decided, and schedules after they were deleted.
const keepLedgers = 90 * 24 * time.Hour

const ledgerLook = 500 // rows of a ledger that are looked at at a time

// ledgers removes the rows of ledgers whose time is over, once a day.
func (k *keeper) ledgers(ctx context.Context) error {
	now := k.e.o.Clock.Now()
	if !now.After(k.rows) {
		return nil
	}
	for key := shard.ScheduleRows; ; {
		began := time.Now()
		page, err := k.e.j.RowsAfter(shard.ScheduleRows, key, ledgerLook)
		if err != nil {
			return err
		}
		for _, row := range page {
			if row.Damaged == "" { // else it is told of at the start
				if err := k.ledger(ctx, row.Key[len(shard.ScheduleRows):], row.Value, now.Add(-keepLedgers).UnixMilli()); err != nil {
					return err
				}
			}
			key = behind(key, row, shard.ScheduleRows)
		}
		if err := k.rest(ctx, time.Since(began), 0); err != nil {
			return err
		}
		if len(page) < ledgerLook {
			k.rows = now.Add(lookAnew)
			return nil
		}
	}
}

// behind is the key behind which the next rows of a prefix are asked for. A damaged one may be any.
func behind(key string, row journal.Row, prefix string) string {
	if strings.HasPrefix(row.Key, prefix) {
		return row.Key
	}
	return key
}

// ledger removes the rows of one ledger that are older than a moment, and the schedule when it was deleted before that and no row is left.
func (k *keeper) ledger(ctx context.Context, name string, state []byte, until int64) error {
	st, err := schedules.Decode(state)
	if err != nil { // damaged, and reported at the start
		return nil
	}
	prefix := shard.LedgerRows(name)
	left := st.Deleted >= until || st.Deleted == 0
	for key := prefix + schedules.KeyAt(until); ; {
		page, err := k.e.j.RowsAfter(prefix, key, ledgerLook)
		if err != nil {
			return err
		}
		forget := &shard.ForgetRows{Name: name, State: state}
		for _, r := range page {
			if row, err := shard.LedgerRow(r); err == nil && row.Over(until) { // one that is damaged stays
				forget.Keys = append(forget.Keys, r.Key)
			}
			key = behind(key, r, prefix)
		}
		forget.Schedule = !left && len(page) < ledgerLook
		if len(forget.Keys) > 0 || forget.Schedule {
			if err := callErr(ctx, k.e, func(done func(error)) shard.Input { forget.Reply = done; return forget }); err != nil {
				return err
			}
		}
		if len(page) < ledgerLook {
			return nil
		}
	}
}
