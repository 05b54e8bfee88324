"""Rules 10 to 12 as rows over servers: stock, export, budgets."""

from audit_opened import case

from placement.audit.limits import limit_rows, monthly_budget_usd


def rows_of(deliveries):
    return {row.name: row for row in limit_rows(case({"deliveries": deliveries})) if row.name.startswith("stock")}


def test_stock_of_a_group_is_for_its_sites_and_others_have_none():
    rows = rows_of("period,delivery_group,server,quantity\n,east,s2,3\n,east,s4,0\n2026,east,s2,2")
    assert rows["stock|s2|east"].most == 5
    assert rows["stock|s2|east"].weight("alba", "s2", "buy") == 1
    assert (
        rows["stock|s2|east"].weight("alba", "s2", "rent") == rows["stock|s2|east"].weight("alba", "s2", "fleet") == 0
    )
    assert rows["stock|s2|east"].weight("alba", "s4", "buy") == 0
    assert rows["stock|s2|east"].weight("brest", "s2", "buy") == 0
    assert rows["stock|s2|"].most == 0
    assert rows["stock|s2|"].weight("brest", "s2", "buy") == 1
    assert rows["stock|s2|"].weight("brest", "s2", "rent") == 0
    assert rows["stock|s2|"].weight("alba", "s2", "buy") == 0


def test_common_stock_is_for_all_sites_and_a_group_may_draw_on_it():
    rows = rows_of("period,delivery_group,server,quantity\n,,s2,3\n,east,s2,2")
    assert rows["stock|s2|"].most == 5
    assert rows["stock|s2|"].weight("alba", "s2", "buy") == rows["stock|s2|"].weight("brest", "s2", "buy") == 1
    assert rows["stock|s2|east"].most == 5
    assert rows["stock|s4|"].most == 0


def test_of_a_limit_stated_twice_the_tighter_counts():
    text = "gpu,server,country,max_gpus,from_date,reason\ng,,DE,4,2025-01-01,a\ng,,DE,2,2026-01-01,b\ng,,DE,3,,c"
    rows = {row.name: row for row in limit_rows(case({"export": text}))}
    assert rows["export|gpu|g|DE"].most == 2
    assert rows["export|gpu|g|DE"].weight("alba", "s4", False) == 4
    assert rows["export|gpu|g|DE"].weight("brest", "s4", False) == 0


def test_the_least_monthly_budget_counts_and_none_is_none():
    assert monthly_budget_usd(case({"budgets": "period,capex_usd,monthly_usd\na,,9\nb,,7\nc,5,"})) == 7
    assert monthly_budget_usd(case({"budgets": None})) is None
