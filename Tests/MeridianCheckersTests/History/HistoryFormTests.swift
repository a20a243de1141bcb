import MeridianCheckers
import Testing

/// What is no history is refused, with the line and the place.
struct HistoryFormTests {
    private func error(_ text: String, _ model: HistoryModel = .register) -> HistoryError? {
        do {
            _ = try HistoryReader.history(of: text, model: model)
            return nil
        } catch {
            return error
        }
    }

    private static let invoke =
        #"{"index": 0, "process": 0, "type": "invoke", "f": "read", "value": [1, null], "time": 5}"# + "\n"

    @Test func fieldsComeInAnyOrderAndUnknownOnesAreIgnored() throws {
        let text = """
            {"value": ["a\\u00e9\\"", null], "extra": {"a": [1.5e3, true, "]}"]}, "f": "read", "time": 5, \
            "type": "invoke", \
            "process": 3, "index": 9, "region": "eu"}

            {"index":10,"process":"nemesis","type":"info","f":"kill","value":{"n1":"x"},"time":6}
            {"index":11,"process":3,"type":"ok","f":"read","value":["a\u{e9}\\"",4],"time":7}
            """
        let history = try HistoryReader.history(of: text, model: .register)
        let operation = try #require(history.operations.first)
        #expect(history.operations.count == 1)
        #expect(history.value(of: operation) == .read(.string("a\u{e9}\""), 4))
        #expect(history.region(of: operation) == "eu")
        #expect(operation.index == 9 && operation.completionIndex == 11)
    }

    @Test(arguments: [
        (#"{"index": 1, "process": 0, "type": "ok", "f": "read", "value": [1 2], "time": 9}"#, 67, "','"),
        (#"{"index": 1, "process": 0, "type": "done", "f": "read", "value": [1, 2], "time": 9}"#, 36, "invoke"),
        (#"{"index": 1, "process": 0, "type": "ok", "f": "push", "value": [1, 2], "time": 9}"#, 47, "\"cas\""),
        (#"{"index": 1.5, "process": 0, "type": "ok", "f": "read", "value": [1, 2], "time": 9}"#, 11, "integer"),
        (#"{"index": 1, "process": 0, "type": "ok", "f": "read", "value": [1, 2]}"#, 1, "\"time\""),
        (#"{"index": 1, "index": 2}"#, 14, "once"),
        (#"{"index": 99999999999999999999}"#, 11, "64 bits"),
        (#"{"index": 1, "process": 0"#, 26, "'}'"),
        (#"{"index": 1} x"#, 14, "end of the line"),
        (#"{"index": 01}"#, 11, "integer"),
    ]) func aMalformedLineIsNamedWithItsColumn(line: String, column: Int, expectation: String) throws {
        let found = try #require(error(Self.invoke + line))
        #expect(found.line == 2)
        #expect(found.column == column)
        #expect(found.reason.contains(expectation), "\(found)")
    }

    @Test(arguments: [
        (#"{"index": 1, "process": 1, "type": "ok", "f": "read", "value": [1, 2], "time": 9}"#, "without an invoke"),
        (#"{"index": 1, "process": 0, "type": "invoke", "f": "read", "value": [1, null], "time": 9}"#, "still open"),
        (#"{"index": 0, "process": 0, "type": "ok", "f": "read", "value": [1, 2], "time": 9}"#, "not above"),
        (#"{"index": 1, "process": 0, "type": "ok", "f": "read", "value": [1, 2], "time": 4}"#, "before the time"),
        (
            #"{"index": 1, "process": 0, "type": "ok", "f": "write", "value": [1, 2], "time": 9}"#,
            "not what was invoked"
        ),
        (#"{"index": 1, "process": 0, "type": "ok", "f": "read", "value": [2, 2], "time": 9}"#, "not what was invoked"),
    ]) func whatDoesNotFitTheLinesBeforeIsRefused(line: String, expectation: String) throws {
        let found = try #require(error(Self.invoke + line))
        #expect(found.line == 2)
        #expect(found.column == nil)
        #expect(found.reason.contains(expectation), "\(found)")
    }

    @Test func aProcessEndsWithAnUnknownOperation() throws {
        let lines = [
            #"{"index": 1, "process": 0, "type": "info", "f": "read", "value": null, "time": 9}"#,
            #"{"index": 2, "process": 0, "type": "invoke", "f": "read", "value": [1, null], "time": 9}"#,
        ]
        let found = try #require(error(Self.invoke + lines.joined(separator: "\n")))
        #expect(found.line == 3)
        #expect(found.reason.contains("unknown outcome"), "\(found)")
    }

    @Test func keysAreToldApartByTheirBytes() {
        let (one, other) = (HistoryKey.string("\u{e9}"), HistoryKey.string("e\u{301}"))
        #expect(one != other)
        #expect(Set([one, other]).count == 2)
        #expect(other < one && !(one < other))
    }

    /// No history can make a checker trap by a value of another model, or by the number that stands for nothing.
    @Test func aValueThatDoesNotFitIsRefused() {
        for (model, value) in [
            (HistoryModel.register, HistoryValue.transaction([.read(.int(1), nil)])),
            (.append, .transaction([.write(.int(1), 1)])), (.set, .read(.int(1), nil)), (.bank, .elements(nil)),
            (.register, .write(.int(1), Int.min)), (.append, .transaction([.append(.int(1), Int.min)])),
        ] {
            #expect(throws: HistoryError.self, "\(model): \(value)") {
                try History(
                    model: model, events: [HistoryEvent(index: 0, process: 0, phase: .invoke, value: value, time: 0)])
            }
        }
    }

    @Test func noPrefixOfALineIsTakenForAnEvent() throws {
        let line =
            #"{"index":0,"process":1,"type":"invoke","f":"txn","value":[["append","k\n",-3],["r",2,null]],"time":1}"#
        let bytes = Array(line.utf8)
        for count in 1..<bytes.count {
            #expect(error(String(decoding: bytes[..<count], as: UTF8.self), .append) != nil, "\(count) bytes")
        }
        #expect(error(line, .append) == nil)
    }

    @Test func aLineMayArriveInPieces() throws {
        let text = Self.invoke + #"{"index": 1, "process": 0, "type": "ok", "f": "read", "value": [1, 2], "time": 9}"#
        var reader = HistoryReader(model: .register)
        for byte in text.utf8 {
            try withUnsafePointer(to: byte) { try reader.read(UnsafeBufferPointer(start: $0, count: 1)) }
        }
        #expect(try reader.finish().operations.first?.outcome == .ok)
    }

    @Test func deepNestingIsRefused() throws {
        let text = #"{"extra": "# + String(repeating: "[", count: 100_000)
        #expect(try #require(error(text)).reason.contains("nesting"))
    }

    @Test func bothFormsOfABankAreRead() throws {
        let text = """
            {"index":0,"process":0,"type":"invoke","f":"transfer","value":{"from":1,"to":"b","amount":5},"time":1}
            {"index":1,"process":0,"type":"ok","f":"transfer","value":[1,"b",5],"time":2}
            {"index":2,"process":0,"type":"invoke","f":"read","time":3}
            {"index":3,"process":0,"type":"ok","f":"read","value":{"1":95,"b":5},"time":4}
            {"index":4,"process":0,"type":"invoke","f":"read","value":null,"time":5}
            {"index":5,"process":0,"type":"ok","f":"read","value":[[1,95],["b",5]],"time":6}
            """
        let history = try HistoryReader.history(of: text, model: .bank)
        #expect(history.value(of: history.operations[1]) == history.value(of: history.operations[2]))
        #expect(try Checker.check(history).isValid)
    }

    @Test func aValueWrittenTwiceIsRefused() throws {
        let step = TransactionStep.append(.int(1), 1)
        let events = (0..<2).flatMap { number in
            [
                HistoryEvent(index: 2 * number, process: 0, phase: .invoke, value: .transaction([step]), time: 0),
                HistoryEvent(index: 2 * number + 1, process: 0, phase: .ok, value: .transaction([step]), time: 0),
            ]
        }
        let history = try History(model: .append, events: events)
        #expect(throws: CheckerError.valueWrittenTwice(key: .int(1), value: 1, first: 0, second: 2)) {
            try Checker.check(history)
        }
    }

    @Test func aCheckerRefusesAnotherModel() throws {
        let history = History(model: .bank)
        #expect(throws: CheckerError.wrongModel(.bank, expected: [.register])) {
            try LinearizabilityChecker.check(history)
        }
    }
}
