import Compute

/// What can be wrong with a method, an example or an adapter.
///
/// Every description is one line that names the culprit.
public enum MethodError: Error, Sendable, CustomStringConvertible {
  /// A combination of axes, or a value on one of them, that makes no sense.
  case refused(String)
  /// An example that does not fit the model's positions.
  case tooLong(source: ExampleSource, needed: Int, available: Int)
  /// A token for which the model has no embedding.
  case unknownToken(source: ExampleSource, id: Int32, vocabularySize: Int)
  /// A row's field that is missing or not what it should be.
  case badField(source: ExampleSource, key: String, reason: String)
  /// A template that cannot be used: its text, or its file and line.
  case badTemplate(place: String, reason: String)
  /// An adapter's file that breaks its format or does not fit the model.
  case badAdapter(path: String, reason: String)
  /// A text that cannot be turned into a vector.
  case badText(place: String, reason: String)
  /// A pool of demonstrations that is not the one that was used before.
  case changedPool(path: String, reason: String)
  /// Something a tokenizer must know and does not.
  case tokenizer(String)

  public var description: String {
    switch self {
    case .refused(let reason): reason
    case .tooLong(let source, let needed, let available):
      "\(source): the example needs \(needed) positions, there are \(available); --truncate says what may be cut"
    case .unknownToken(let source, let id, let vocabularySize):
      "\(source): the tokenizer gives id \(id), the model has embeddings for 0..<\(vocabularySize)"
    case .badField(let source, let key, let reason): "\(source): field '\(key)' \(reason)"
    case .badTemplate(let place, let reason): "\(place): \(reason)"
    case .badAdapter(let path, let reason): "\(path): \(reason)"
    case .badText(let place, let reason): "\(place): the text \(reason)"
    case .changedPool(let path, let reason): "\(path): \(reason)"
    case .tokenizer(let reason): reason
    }
  }
}
