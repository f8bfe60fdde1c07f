#!/bin/sh
# What the directory $1 holds, by client and hour, into the file $2; $3: how an amount is printed, "users" as $4
# counts users, too. Fields go by their place, as they do where somebody writes this in a minute.
cd "$1" || exit 1
{ cat */*.jsonl */*.csv; zcat */*.jsonl.gz */*.csv.gz; } | awk -F '[:,{}"]+' -v users="$4" -v form="$3" '
    $1 == "ts" { next }
    $1 == "" { ts = $3; uid = $5; client = $7; amount = $9 }
    $1 != "" { ts = $1; uid = $2; client = $3; amount = $4 }
    {
        key = client "," ts - ts % 3600
        sum[key] += amount
        if (users && !((key, uid) in seen)) { seen[key, uid]; count[key]++ }
    }
    END {
        for (key in sum) {
            amount = form == "" ? sum[key] "" : sprintf(form, sum[key])
            print key "," amount (users ? "," count[key] : "")
        }
    }' > "$2"
