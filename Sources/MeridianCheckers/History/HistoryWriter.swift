/// Writes events as JSON lines, the form that `HistoryReader` reads. Pure: bytes gather here, and the caller sends them
/// where it wants.
public struct HistoryWriter: Sendable {
    /// What was written and not taken yet.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Hands out what was written since the last call.
    public mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    public mutating func write(_ event: HistoryEvent) {
        put("{\"index\":")
        put(event.index)
        put(",\"process\":")
        put(event.process)
        put(",\"type\":\"")
        put(event.phase.rawValue)
        put("\",\"f\":\"")
        put(event.value.map(Self.function) ?? "")
        put("\",\"value\":")
        if let value = event.value { put(value) } else { put("null") }
        put(",\"time\":")
        put(event.time)
        if let region = event.region {
            put(",\"region\":")
            putString(region)
        }
        put("}\n")
    }

    private static func function(_ value: HistoryValue) -> String {
        switch value {
        case .transaction: "txn"
        case .read, .balances, .elements: "read"
        case .write: "write"
        case .compareAndSet: "cas"
        case .transfer: "transfer"
        case .add: "add"
        }
    }

    private mutating func put(_ value: HistoryValue) {
        switch value {
        case .transaction(let steps): putList(steps) { $0.put($1) }
        case .read(let key, let found):
            putPair(key) { $0.put(optional: found) }
        case .write(let key, let value):
            putPair(key) { $0.put(value) }
        case .compareAndSet(let key, let from, let to):
            putPair(key) {
                $0.put("[")
                $0.put(optional: from)
                $0.put(",")
                $0.put(to)
                $0.put("]")
            }
        case .transfer(let from, let to, let amount):
            put("[")
            put(from)
            put(",")
            put(to)
            put(",")
            put(amount)
            put("]")
        case .balances(let found):
            if let found {
                putList(found) { writer, entry in writer.putPair(entry.account) { $0.put(entry.balance) } }
            } else {
                put("null")
            }
        case .add(let element): put(element)
        case .elements(let found): put(list: found)
        }
    }

    private mutating func put(_ step: TransactionStep) {
        switch step {
        case .append(let key, let value):
            put("[\"append\",")
            put(key)
            put(",")
            put(value)
        case .write(let key, let value):
            put("[\"w\",")
            put(key)
            put(",")
            put(value)
        case .readList(let key, let found):
            put("[\"r\",")
            put(key)
            put(",")
            put(list: found)
        case .read(let key, let found):
            put("[\"r\",")
            put(key)
            put(",")
            put(optional: found)
        }
        put("]")
    }

    private mutating func put(_ key: HistoryKey) {
        switch key {
        case .int(let number): put(number)
        case .string(let text): putString(text)
        }
    }

    private mutating func put(list: [Int]?) {
        guard let list else { return put("null") }
        putList(list) { $0.put($1) }
    }

    private mutating func put(optional number: Int?) {
        if let number { put(number) } else { put("null") }
    }

    private mutating func putPair(_ key: HistoryKey, _ second: (inout HistoryWriter) -> Void) {
        put("[")
        put(key)
        put(",")
        second(&self)
        put("]")
    }

    private mutating func putList<Element>(_ list: [Element], _ each: (inout HistoryWriter, Element) -> Void) {
        put("[")
        var isFirst = true
        for element in list {
            if !isFirst { put(",") }
            isFirst = false
            each(&self, element)
        }
        put("]")
    }

    private mutating func put(_ number: Int) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        let first = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[first...].reverse()
    }

    private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func putString(_ text: String) {
        put("\"")
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                put("\\u00")
                put(byte < 0x10 ? "0" : "1")
                put(String(byte & 15, radix: 16))
            default: bytes.append(byte)
            }
        }
        put("\"")
    }
}
