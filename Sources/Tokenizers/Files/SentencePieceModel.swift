import Foundation

/// A SentencePiece model file: pieces with scores, and the precompiled normaliser.
struct SentencePieceModel {
  struct Piece {
    let text: [UInt8]
    let score: Float
    let kind: Int
  }

  /// The kinds of pieces that are tokens of their own: control pieces, and those of the user.
  static let control = 3
  static let userDefined = 4

  private(set) var pieces: [Piece] = []
  /// `unigram` is 1, byte pairs are 2.
  private(set) var modelType = 1
  private(set) var byteFallback = false
  private(set) var unknownID = 0
  private(set) var characterMap: [UInt8] = []

  /// Field numbers are those of sentencepiece_model.proto.
  ///
  /// Throws `TokenizerError.invalid` for a file that is none.
  init(_ url: URL) throws {
    let bytes = try JSONFile.bytes(of: url)
    do {
      var message = ProtocolBufferReader(bytes[...])
      while let (field, value) = try message.next() {
        switch (field, value) {
        case (1, .bytes(let piece)): pieces.append(try Self.piece(piece))
        case (2, .bytes(let trainer)): try readTrainer(trainer)
        case (3, .bytes(let normalizer)): try readNormalizer(normalizer)
        default: break
        }
      }
    } catch is ProtocolBufferReader.Broken {
      throw TokenizerError.invalid(file: url.path, place: "message", detail: "is no SentencePiece model, or broken off")
    }
    if pieces.isEmpty { throw TokenizerError.invalid(file: url.path, place: "pieces", detail: "there are none") }
    if let index = pieces.firstIndex(where: { String(validating: $0.text, as: UTF8.self) == nil }) {
      throw TokenizerError.invalid(file: url.path, place: "piece \(index)", detail: "is not UTF-8")
    }
  }

  private static func piece(_ data: ArraySlice<UInt8>) throws -> Piece {
    var message = ProtocolBufferReader(data)
    var text: [UInt8] = []
    var score: Float = 0
    var kind = 1
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (1, .bytes(let bytes)): text = Array(bytes)
      case (2, .float(let number)): score = number
      case (3, .number(let number)): kind = Int(truncatingIfNeeded: number)
      default: break
      }
    }
    return Piece(text: text, score: score, kind: kind)
  }

  private mutating func readTrainer(_ data: ArraySlice<UInt8>) throws {
    var message = ProtocolBufferReader(data)
    while let (field, value) = try message.next() {
      guard case .number(let number) = value else { continue }
      switch field {
      case 3: modelType = Int(truncatingIfNeeded: number)
      case 35: byteFallback = number != 0
      case 40: unknownID = Int(truncatingIfNeeded: number)
      default: break
      }
    }
  }

  private mutating func readNormalizer(_ data: ArraySlice<UInt8>) throws {
    var message = ProtocolBufferReader(data)
    while let (field, value) = try message.next() {
      if field == 2, case .bytes(let map) = value { characterMap = Array(map) }
    }
  }
}
