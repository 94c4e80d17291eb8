using System;
using System.Collections.Generic;

namespace Acme.Billing
{
    /// <summary>What an invoice is worth.</summary>
    public readonly struct Money : IEquatable<Money>
    {
        public const string Currency = "EUR";
        public decimal Amount { get; init; }

        public static Money operator +(Money a, Money b) => new Money { Amount = a.Amount + b.Amount };

        public bool Equals(Money other) => Amount == other.Amount;
    }

    public enum Status
    {
        Open,
        Paid = 2,
    }

    public delegate void Changed(Invoice invoice, Status status);

    public interface IStore<T> where T : class
    {
        T? Find(string id);
    }

    public record Line(string Article, int Count);

    [Serializable]
    public partial class Invoice : IDisposable
    {
        private readonly List<Line> _lines = new();
        public event Changed? OnChanged;

        public Invoice(string id) : this()
        {
            Id = id;
        }

        public string Id { get; } = "";

        // Lines are never removed.
        [Obsolete("use AddRange")]
        public async Task<int> AddAsync<T>(T line, CancellationToken token = default)
            where T : Line
        {
            _lines.Add(line);
            OnChanged?.Invoke(this, Status.Open);
            await Task.Yield();
            return _lines.Count;
        }

        public Line this[int index] => _lines[index];

        private static class Defaults
        {
            internal static int Days = 30;

            internal static DateTime Due()
            {
                int Local() => Days;
                return DateTime.Now.AddDays(Local());
            }
        }

        void IDisposable.Dispose() { }

        ~Invoice() { }
    }
}
