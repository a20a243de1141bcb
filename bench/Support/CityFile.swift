import Foundation
import MeridianCore

/// A city of the file.
package struct CityRecord: Hashable, Sendable {
    package var id: Int
    package var name: String
    /// ISO 3166-1 alpha-2.
    package var country: String
    /// `AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`.
    package var continent: String
    package var population: Int
    package var latitude: Double
    package var longitude: Double
    package var timezone: String
}

/// The 34,006 cities that come with the programs (Resources/CREDITS.md), read from comma-separated values.
package enum CityFile {
    /// The file as it is, in which canaries are chosen.
    package static func bytes() throws -> [UInt8] {
        guard let url = Bundle.module.url(forResource: "cities", withExtension: "csv"),
            let data = try? Data(contentsOf: url)
        else {
            throw MeridianError(
                .storageFailed, "cities.csv is missing beside the program; build it again with `swift build`")
        }
        return [UInt8](data)
    }

    /// - Throws: `.corruption`, with the line, for anything that is not a city.
    package static func records(in bytes: [UInt8]) throws(MeridianError) -> [CityRecord] {
        // Lines may end as on the internet, with two bytes.
        let lines = bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        guard let header = lines.first, String(decoding: header, as: UTF8.self) == columns else {
            throw MeridianError(.corruption, "cities.csv does not begin with \(columns)")
        }
        var cities: [CityRecord] = []
        cities.reserveCapacity(lines.count)
        for (number, line) in lines.enumerated().dropFirst() {
            guard let city = city(fields(of: line)) else {
                throw MeridianError(.corruption, "cities.csv, line \(number + 1): not a city")
            }
            cities.append(city)
        }
        return cities
    }

    private static let columns = "geonameid,name,country,continent,population,latitude,longitude,timezone"

    private static func city(_ fields: [String]) -> CityRecord? {
        guard fields.count == 8, let id = Int(fields[0]), let population = Int(fields[4]),
            let latitude = Double(fields[5]), let longitude = Double(fields[6])
        else { return nil }
        return CityRecord(
            id: id, name: fields[1], country: fields[2], continent: fields[3], population: population,
            latitude: latitude, longitude: longitude, timezone: fields[7])
    }

    /// The fields of a line (RFC 4180, without line breaks inside of quotes).
    package static func fields(of line: some Sequence<UInt8>) -> [String] {
        let (comma, quote) = (UInt8(ascii: ","), UInt8(ascii: "\""))
        var fields: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        var previousClosed = false
        for byte in line {
            switch byte {
            case quote:
                // Two quotes inside of quotes are one that is meant.
                if previousClosed { field.append(quote) }
                previousClosed = isQuoted
                isQuoted.toggle()
                continue
            case comma where !isQuoted:
                fields.append(String(decoding: field, as: UTF8.self))
                field = []
            default:
                field.append(byte)
            }
            previousClosed = false
        }
        return fields + [String(decoding: field, as: UTF8.self)]
    }
}
