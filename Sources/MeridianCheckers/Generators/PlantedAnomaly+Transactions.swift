/// Anomalies of transactions. `x`, `y` … are keys; the letters T1, T2 follow the order of the lists.
extension PlantedAnomaly {
    private static func a(_ key: String, _ value: Int) -> TransactionStep { .append(.string(key), value) }
    private static func l(_ key: String, _ found: [Int]) -> TransactionStep { .readList(.string(key), found) }
    private static func w(_ key: String, _ value: Int) -> TransactionStep { .write(.string(key), value) }
    private static func r(_ key: String, _ found: Int?) -> TransactionStep { .read(.string(key), found) }
    private static func ok(_ steps: TransactionStep...) -> Done { Done(value: .transaction(steps)) }
    private static func failed(_ steps: TransactionStep...) -> Done { Done(value: .transaction(steps), phase: .fail) }

    private static func append(_ name: AnomalyName, _ events: [Part]) -> PlantedAnomaly {
        PlantedAnomaly(name: name, model: .append, events: events)
    }

    private static func registers(_ name: AnomalyName, _ events: [Part]) -> PlantedAnomaly {
        PlantedAnomaly(name: name, model: .registers, events: events)
    }

    /// Every anomaly of list-append.
    public static var ofAppend: [PlantedAnomaly] {
        [
            append(.g1a, together([failed(a("x", 1)), ok(l("x", [1]))])),
            append(.g1b, together([ok(a("x", 1), a("x", 2)), ok(l("x", [1]))])),
            append(.dirtyUpdate, together([failed(a("x", 1)), ok(a("x", 2)), ok(l("x", [1, 2]))])),
            append(.duplicateElements, together([ok(a("x", 1)), ok(l("x", [1, 1]))])),
            append(.garbageRead, together([ok(l("x", [1]))])),
            append(
                .incompatibleOrder, together([ok(a("x", 1)), ok(a("x", 2)), ok(l("x", [1, 2])), ok(l("x", [2, 1]))])),
            append(.internalInconsistency, together([ok(a("x", 1), l("x", []))])),
            append(.lostUpdate, together([ok(l("x", []), a("x", 1)), ok(l("x", []), a("x", 2))])),
            append(
                .g0,
                together([ok(a("x", 1), a("y", 1)), ok(a("x", 2), a("y", 2)), ok(l("x", [1, 2]), l("y", [2, 1]))])),
            append(.g1c, together([ok(a("x", 1), l("y", [1])), ok(a("y", 1), l("x", [1]))])),
            append(.gSingle, together([ok(a("x", 1), a("y", 1)), ok(l("x", [1]), l("y", []))])),
            append(
                .gNonadjacent,
                together([
                    ok(l("x", []), l("u", [1])), ok(a("x", 1), a("y", 1)), ok(l("y", [1]), l("z", [])),
                    ok(a("z", 1), a("u", 1)),
                ])),
            append(.g2Item, together([ok(l("x", []), a("y", 1)), ok(l("y", []), a("x", 1))])),
        ] + [true, false].flatMap(ordered)
    }

    /// Those that need the order of one process, or of real time.
    private static func ordered(isOneProcess: Bool) -> [PlantedAnomaly] {
        func variant(_ name: AnomalyName, _ inOrder: [Done], _ around: [Done] = []) -> PlantedAnomaly {
            append(
                name.variant(isOneProcess ? .process : .realtime),
                ordered(inOrder, around: around, isOneProcess: isOneProcess))
        }
        return [
            variant(.g0, [ok(a("x", 1)), ok(a("x", 2))], [ok(l("x", [2, 1]))]),
            variant(.g1c, [ok(l("x", [1])), ok(a("x", 1))]),
            variant(.gSingle, [ok(a("x", 1)), ok(l("x", []))]),
            variant(
                .gNonadjacent, [ok(a("x", 1)), ok(l("z", []))],
                [ok(l("x", []), l("u", [1])), ok(a("z", 1), a("u", 1))]),
            variant(.g2Item, [ok(a("y", 1)), ok(l("x", []))], [ok(a("x", 1), l("y", []))]),
        ]
    }

    /// Every anomaly of registers.
    public static var ofRegisters: [PlantedAnomaly] {
        [
            registers(.g1a, together([failed(w("x", 1)), ok(r("x", 1))])),
            registers(.g1b, together([ok(w("x", 1), w("x", 2)), ok(r("x", 1))])),
            registers(.dirtyUpdate, together([failed(w("x", 1)), ok(r("x", 1), w("x", 2))])),
            registers(.garbageRead, together([ok(r("x", 1))])),
            registers(.internalInconsistency, together([ok(w("x", 1), r("x", nil))])),
            registers(.lostUpdate, together([ok(r("x", nil), w("x", 1)), ok(r("x", nil), w("x", 2))])),
            registers(.cyclicVersions, together([ok(r("x", 1), w("x", 2)), ok(r("x", 2), w("x", 1))])),
            registers(
                .g0, together([ok(w("x", 1), r("y", 2), w("y", 3)), ok(r("x", 1), w("x", 4), w("y", 2))])),
            registers(.g1c, together([ok(w("x", 1), r("y", 1)), ok(w("y", 1), r("x", 1))])),
            registers(.gSingle, together([ok(w("x", 1), w("y", 1)), ok(r("x", 1), r("y", nil))])),
            registers(
                .gNonadjacent,
                together([
                    ok(r("x", nil), r("u", 1)), ok(w("x", 1), w("y", 1)), ok(r("y", 1), r("z", nil)),
                    ok(w("z", 1), w("u", 1)),
                ])),
            registers(.g2Item, together([ok(r("x", nil), w("y", 1)), ok(r("y", nil), w("x", 1))])),
        ]
            + [true, false].flatMap { isOneProcess in
                let level = isOneProcess ? DependencyGraph.Level.process : .realtime
                return [
                    registers(
                        AnomalyName.cyclicVersions.variant(level),
                        ordered(
                            [ok(r("x", 1)), ok(r("x", 2)), ok(r("x", 1))], around: [ok(w("x", 1)), ok(w("x", 2))],
                            isOneProcess: isOneProcess)),
                    registers(
                        AnomalyName.gSingle.variant(level),
                        ordered([ok(w("x", 1)), ok(r("x", nil))], isOneProcess: isOneProcess)),
                    // Two keys, each with an order of its own by time, and one reader that saw one new and one old.
                    registers(
                        AnomalyName.gSingle.variant(level),
                        ordered(
                            [ok(w("x", 1)), ok(w("x", 2), w("y", 2))], around: [ok(r("x", 1), r("y", 2))],
                            isOneProcess: isOneProcess)),
                ]
            }
    }
}
