"""Everything that alerts and the status say, in English and in Czech.

Belongs here: texts with places for facts. Not here: when they are said (the sources), and messages
of errors, which are English everywhere and are quoted as they are.
"""

from __future__ import annotations

from kajovo_dr.recovery.report_words import Language

TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        # levels and kinds of messages
        "ok": "ok",
        "warning": "warning",
        "unknown": "unknown",
        "critical": "critical",
        "title_warning": "WARNING",
        "title_critical": "CRITICAL",
        "title_over": "OVER",
        "title_better": "BETTER",
        "title_repeated": "STILL",
        "title_was": "IT WAS",
        "title_test": "TEST",
        # lines of a message
        "line_what": "What",
        "line_since": "Since",
        "line_lasted": "It lasted",
        "line_before": "Before",
        "line_figure": "Figure",
        "line_limit": "Limit",
        "line_now": "Now",
        "line_meanwhile": "Meanwhile",
        "line_next": "Next",
        "line_run": "Run",
        "line_from": "From",
        "meanwhile": "{level} from {since} to {until}; nobody was looking",
        # the recovery point
        "rpo_pass": "the newest proven backup of {database} is young enough",
        "rpo_was": "for a while the newest proven backup of {database} was too old; now it is"
        " young enough",
        "rpo_old": "the newest proven backup of {database} is old: what came after it would be"
        " lost",
        "rpo_none": "no backup of {database} is proven: nobody knows whether anything could be"
        " brought back",
        "rpo_unknown": "nobody can say how old the newest proven backup is: {why}",
        "rpo_future": "the recovery point cannot be trusted: {why}",
        "none": "none",
        # backups
        "damaged": "the backup {name} is damaged: {why}",
        "untrusted": "the dump file {name} is not a backup that can be trusted: {why}",
        "untrusted_many": "{count} dump files are not backups that can be trusted; of the newest:"
        " {why}",
        "change_no_table_gone": "a table is gone since the backup before {name}: {what}",
        "change_no_table_shrank": "a table has shrunk since the backup before {name}: {what}",
        "change_schema_unchanged": "the schema has changed since the backup before {name}: {what}",
        "change_tables_still_change": "tables that used to change do so no longer: {what}",
        # the store
        "store_ok": "the store can be read and has room",
        "store_lost": "the store cannot be used: {why}",
        "store_full": "the next backup does not fit into the store {folder}",
        "store_fills": "the disk of the store {folder} will be full soon",
        "store_days": "{days} days left, {free} free, {rate} a day",
        "store_free": "{free} free, the newest backup has {size}",
        "days": "{days} days",
        # the drill
        "drill_ok": "the last drill passed",
        "drill_none": "no drill was ever run: nobody knows how long a recovery takes",
        "drill_failed": "the last drill, {id}, failed: {why}",
        "drill_overdue": "no drill has passed for a long time",
        "drill_unknown": "nobody can say how the last drill went: {why}",
        "drill_unreadable": "no line of its history can be read",
        "drill_rto": "its recovery took too long",
        # recoveries
        "recovery": "the recovery {id} of {database} by {who} began and has not ended; last phase:"
        " {phase}",
        "recovery_unknown": "nobody can say whether a recovery has not ended: {why}",
        "between": "none",
        # the machine
        "clock_ahead": "the clock of {host} was put forward by {jump}; if it is wrong now, ages of"
        " backups are told too high by as much",
        "clock_back": "the clock of {host} was put back by {jump}; if it is wrong now, ages of"
        " backups are told too low by as much",
        "daemon_ok": "Dagster's daemon lives",
        "daemon_silent": "Dagster's daemon gives no sign of life: no backup is scheduled",
        "sensor_silent": "Dagster's daemon runs, and its alert_sensor does not look: it is switched"
        " off or fails; see Automation in the Dagster UI",
        "switch_bad": "a dead man's switch cannot be asked: {why}",
        "daemon_never": "Dagster's daemon has never looked: nobody knows whether backups are"
        " scheduled",
        "daemon_parts": "parts of Dagster's daemon do not run: {parts}",
        "ui_silent": "the Dagster UI does not answer: {why}",
        "watchdog_silent": "the watchdog no longer looks: nobody would notice that this machine's"
        " daemon died",
        "channel": "alerts do not arrive through the channel {name}: {why}",
        "channels_none": "{who} has no alert channel: nobody is told of what it sees",
        "channels_bad": "{who} cannot send every alert: {why}",
        "no_answer": "no answer within {seconds} s",
        "source": "a part of the watch is broken, {name}: {why}",
        "who_daemon": "Dagster's daemon",
        "who_watchdog": "the watchdog",
        "settings": "the watchdog has other settings than Dagster's daemon, and leaves backups and"
        " recoveries to it: {names}",
        "renewed": "the file of what people were told could not be read and was put aside as"
        " {name}: some of it may be told again, and what waited to be sent is lost",
        "channels_deaf": "{who} has no channel that takes what is critical",
        "vanished": "backups have vanished from the store {folder}: {before} were there at the last"
        " look, {now} are now",
        "damaged_many": "{count} backups are damaged; of the newest: {why}",
        "metrics": "metrics are not written: {why}",
        # Dagster
        "run": "a run of {job} failed in {step}: {why}",
        "run_dead": "a run of {job} ended without a word: {why}",
        "run_ok": "the last run of {job} succeeded",
        "check": "the check {check} of {asset} failed: {why}",
        "check_ok": "the check {check} of {asset} passes",
        "freshness": "Dagster calls {asset} {state}: it has made none for too long",
        "freshness_unknown": "Dagster has made no {asset} itself yet",
        "freshness_ok": "Dagster calls {asset} fresh",
    },
    "cs": {
        "ok": "v pořádku",
        "warning": "varování",
        "unknown": "neznámo",
        "critical": "kritické",
        "title_warning": "VAROVÁNÍ",
        "title_critical": "KRITICKÉ",
        "title_over": "SKONČILO",
        "title_better": "ZLEPŠENÍ",
        "title_repeated": "STÁLE",
        "title_was": "BYLO",
        "title_test": "ZKOUŠKA",
        "line_what": "Co",
        "line_since": "Trvá od",
        "line_lasted": "Trvalo",
        "line_before": "Předtím",
        "line_figure": "Hodnota",
        "line_limit": "Limit",
        "line_now": "Nyní",
        "line_meanwhile": "Mezitím",
        "line_next": "Dál",
        "line_run": "Běh",
        "line_from": "Odesílá",
        "meanwhile": "{level} od {since} do {until}; nikdo se nedíval",
        "rpo_pass": "nejnovější ověřená záloha databáze {database} je dost čerstvá",
        "rpo_was": "nejnovější ověřená záloha databáze {database} byla nějakou dobu příliš stará;"
        " teď je dost čerstvá",
        "rpo_old": "nejnovější ověřená záloha databáze {database} je stará: co přišlo po ní, by"
        " bylo ztraceno",
        "rpo_none": "žádná záloha databáze {database} není ověřená: nikdo neví, zda by šlo něco"
        " obnovit",
        "rpo_unknown": "nelze zjistit, jak stará je nejnovější ověřená záloha: {why}",
        "rpo_future": "bodu obnovy nelze věřit: {why}",
        "none": "žádná",
        "damaged": "záloha {name} je poškozená: {why}",
        "untrusted": "soubor {name} není záloha, které lze věřit: {why}",
        "untrusted_many": "souborů, které nejsou zálohami, jimž lze věřit: {count}; o nejnovějším:"
        " {why}",
        "change_no_table_gone": "od zálohy před {name} zmizela tabulka: {what}",
        "change_no_table_shrank": "od zálohy před {name} se zmenšila tabulka: {what}",
        "change_schema_unchanged": "od zálohy před {name} se změnilo schéma: {what}",
        "change_tables_still_change": "tabulky, které se měnívaly, se už nemění: {what}",
        "store_ok": "úložiště záloh lze číst a je v něm místo",
        "store_lost": "úložiště záloh nelze použít: {why}",
        "store_full": "další záloha se do úložiště {folder} nevejde",
        "store_fills": "disk úložiště {folder} bude brzy plný",
        "store_days": "zbývá {days} d, volno {free}, denně přibude {rate}",
        "store_free": "volno {free}, nejnovější záloha má {size}",
        "days": "{days} d",
        "drill_ok": "poslední cvičení obstálo",
        "drill_none": "cvičení ještě nikdy neproběhlo: nikdo neví, jak dlouho obnova trvá",
        "drill_failed": "poslední cvičení {id} neobstálo: {why}",
        "drill_overdue": "už dlouho žádné cvičení neobstálo",
        "drill_unknown": "nelze zjistit, jak dopadlo poslední cvičení: {why}",
        "drill_unreadable": "žádný řádek jejich historie nelze přečíst",
        "drill_rto": "obnova při něm trvala příliš dlouho",
        "recovery": "obnova {id} databáze {database}, kterou začal {who}, neskončila; poslední"
        " krok: {phase}",
        "recovery_unknown": "nelze zjistit, zda některá obnova neskončila: {why}",
        "between": "žádný",
        "clock_ahead": "hodiny počítače {host} byly posunuty o {jump} dopředu; jdou-li teď špatně,"
        " vypadají zálohy o tolik starší",
        "clock_back": "hodiny počítače {host} byly posunuty o {jump} zpět; jdou-li teď špatně,"
        " vypadají zálohy o tolik mladší",
        "daemon_ok": "démon Dagsteru žije",
        "daemon_silent": "démon Dagsteru nejeví známky života: žádná záloha není naplánovaná",
        "sensor_silent": "démon Dagsteru běží, ale jeho alert_sensor se nedívá: je vypnutý, nebo"
        " selhává; viz Automation v rozhraní Dagsteru",
        "switch_bad": "hlídací službě nelze dát vědět: {why}",
        "daemon_never": "démon Dagsteru se ještě nikdy neozval: nikdo neví, zda jsou zálohy"
        " naplánované",
        "daemon_parts": "části démona Dagsteru neběží: {parts}",
        "ui_silent": "rozhraní Dagsteru neodpovídá: {why}",
        "watchdog_silent": "hlídač se už nedívá: nikdo by si nevšiml, že démon na tomto počítači"
        " přestal běžet",
        "channel": "upozornění nedocházejí kanálem {name}: {why}",
        "channels_none": "{who} nemá žádný kanál pro upozornění: nikdo se nedozví, co vidí",
        "channels_bad": "{who} nemůže posílat všechna upozornění: {why}",
        "no_answer": "bez odpovědi {seconds} s",
        "source": "část hlídání je rozbitá, {name}: {why}",
        "who_daemon": "démon Dagsteru",
        "who_watchdog": "hlídač",
        "settings": "hlídač má jiné nastavení než démon Dagsteru a zálohy i obnovy nechává na něm:"
        " {names}",
        "renewed": "soubor s tím, co už bylo ohlášeno, nešel přečíst a byl odložen jako {name}:"
        " něco může být ohlášeno znovu, a co čekalo na odeslání, je ztraceno",
        "channels_deaf": "{who} nemá kanál, který přijímá kritická upozornění",
        "vanished": "z úložiště {folder} zmizely zálohy: při posledním pohledu jich bylo {before},"
        " teď {now}",
        "damaged_many": "poškozených záloh: {count}; o nejnovější: {why}",
        "metrics": "metriky se nezapisují: {why}",
        "run": "běh úlohy {job} selhal v kroku {step}: {why}",
        "run_dead": "běh úlohy {job} skončil beze slova: {why}",
        "run_ok": "poslední běh úlohy {job} uspěl",
        "check": "kontrola {check} u {asset} neprošla: {why}",
        "check_ok": "kontrola {check} u {asset} prochází",
        "freshness": "Dagster hlásí u {asset} stav {state}: příliš dlouho žádné nevytvořil",
        "freshness_unknown": "Dagster sám ještě žádné {asset} nevytvořil",
        "freshness_ok": "podle Dagsteru je {asset} čerstvé",
    },
}
