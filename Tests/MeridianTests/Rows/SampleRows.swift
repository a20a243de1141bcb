import Foundation
import MeridianCore

/// The rows that the tests of this folder use.
struct User: Codable, Hashable, Sendable {
    var id: UUID
    var region: String
    var name: String
    var age: Int?
}

enum Plan: String, Codable { case free, paid }
enum Home: String, Codable, CaseIterable { case ireland = "eu-west-1", virginia = "us-east-1" }
enum Grade: Int, Codable { case low = 100, high = 200 }
enum Contact: Codable, Hashable { case email(address: String), phone(String), none }

struct Address: Codable, Hashable {
    var street: String
    var lines: [String]
    var geo: [String: Double]
}

/// One property of every kind that a row may have.
struct Everything: Codable, Hashable, Sendable {
    var id: UInt64
    var bool: Bool
    var int8: Int8
    var int16: Int16
    var int32: Int32
    var int64: Int64
    var uint: UInt
    var uint8: UInt8
    var uint16: UInt16
    var uint32: UInt32
    var double: Double
    var float: Float
    var text: String
    var uuid: UUID
    var date: Date
    var data: Data
    var bytes: [UInt8]
    var region: Region
    var home: Home
    var plan: Plan
    var grade: Grade
    var contact: Contact
    var address: Address
    var tags: [String]
    var link: URL
    var note: String?
    var seen: Date?
    var other: UUID?
    var backup: Plan?
    var second: Address?
    var blob: Data?

    static let full = Everything(
        id: 1 << 62, bool: true, int8: -8, int16: -16, int32: -32, int64: .min, uint: 1, uint8: 255, uint16: 65_535,
        uint32: .max, double: 0.1, float: 0.1, text: "é日本", uuid: UUID(), date: Date(), data: Data([0, 255]),
        bytes: [1, 0], region: "eu-west-1", home: .virginia, plan: .paid, grade: .high,
        contact: .email(address: "ada@example.com"),
        address: Address(street: "Main", lines: ["a"], geo: ["x": 1.5]), tags: ["x", "y"],
        link: URL(string: "https://example.com/?a=b")!, note: "n", seen: .distantFuture, other: UUID(), backup: .free,
        second: Address(street: "", lines: [], geo: [:]), blob: Data())

    static var sparse: Everything {
        var row = full
        (row.note, row.seen, row.other, row.backup, row.second, row.blob) = (nil, nil, nil, nil, nil, nil)
        row.contact = .none
        return row
    }
}
